"""What the checks hand on to each other: each finds something that later ones look at closer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumer.configuration.kafka import KafkaSettings
from consumer.settings import Settings
from schemas.cycle import LocalRegistry, LocalStore
from schemas.hopsworks import Hopsworks

if TYPE_CHECKING:
    from stores.hopsworks.private_folder import PrivateFolder
    from stores.hopsworks.session import Session

_REQUEST = 4.0  # seconds that the control plane may be silent; the service has more patience than a person who waits


@dataclass
class Visit:
    """One call of the doctor. An attribute without a value is set by the check that finds it."""

    load: Callable[[], Settings]
    try_writing: bool = False
    """Whether the model registry of a cluster may be written for a moment; nothing else ever is."""
    settings: Settings = field(init=False)
    session: Session = field(init=False)
    group: Any = field(init=False)
    """The SDK's feature group."""
    kafka: KafkaSettings = field(init=False)
    """How Kafka is reached, as the service would reach it."""
    described: list[dict[str, Any]] = field(init=False)
    """The topic's partitions, as the brokers describe them."""
    no_topic: str | None = None
    """Why there is no topic that could be read."""
    cluster_version: str | None = None
    offset: float | None = None
    """Seconds by which the cluster's clock is ahead of ours, as far as that is known."""
    record_from: float | None = None
    """When the newest record that was seen was made, in seconds since the epoch."""
    user: str | None = None
    """Somebody who is in the offline store."""
    view_is_there: bool = False
    queries: bool = False
    """Whether the query service answers."""
    label_group: Any = field(init=False)
    """The SDK's group of labels."""
    label_topic: str = ""
    """Where changes of labels are told."""
    _folder: PrivateFolder | None = None

    @property
    def cluster(self) -> Hopsworks:
        """The cluster, spoken with impatiently: no check may wait for it as long as the service does."""
        cluster = self.settings.hopsworks
        assert cluster is not None
        timeout = min(_REQUEST, cluster.request_timeout)
        return cluster.model_copy(update={"request_timeout": timeout, "retry_for": 0.0})

    @cached_property
    def tls_dir(self) -> Path:
        """Where certificates of the cluster's Kafka lie during the visit; not where the service has its own."""
        from stores.hopsworks.private_folder import PrivateFolder

        self._folder = PrivateFolder("doctor")
        return self._folder.path

    def end(self) -> None:
        """Log out and remove what was laid down. It may be called twice."""
        if hasattr(self, "session"):
            from stores.hopsworks.session import end_session

            end_session()
        if self._folder is not None:
            self._folder.remove()

    @property
    def has_cluster(self) -> bool:
        """Whether the settings name a cluster."""
        return self.settings.hopsworks is not None

    @property
    def reads_from_cluster(self) -> bool:
        """Whether the feature store is the cluster's."""
        return not isinstance(self.settings.feature_store, LocalStore)

    @property
    def registers_in_cluster(self) -> bool:
        """Whether the model registry is the cluster's."""
        return not isinstance(self.settings.model_registry, LocalRegistry)
