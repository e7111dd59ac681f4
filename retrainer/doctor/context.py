"""What the checks share: the settings, and the facts that one check looks up and later checks use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consumer.configuration.kafka import KafkaSettings
from consumer.settings import Settings
from retrainer.doctor.connection import Connection, as_the_cluster_says
from retrainer.doctor.lookup import Lookup
from retrainer.doctor.topic import Newest, describe, newest_records
from schemas.cycle import LocalRegistry, LocalStore
from schemas.hopsworks import Hopsworks, HopsworksStore

if TYPE_CHECKING:
    from retrainer.doctor.control_plane import Answer
    from retrainer.doctor.samples import Sample
    from stores.hopsworks.private_folder import PrivateFolder
    from stores.hopsworks.session import Session

_REQUEST = 4.0  # seconds for the control plane; a person who waits has less patience than the service
_VERSIONS = "/variables/versions"


class CheckContext:
    """One run of the doctor.

    Attributes:
        settings: of the service.
        try_writing: whether the model registry of a cluster may be written for a moment; nothing else ever is.
        server: what the cluster answers to anybody.
        server_by_key: what the cluster answers to the API key.
        session: with the cluster.
        group, label_group: the SDK's feature groups, of users and of labels.
        view: the SDK's feature view; None where there is none.
        connection: how the service would reach Kafka.
        topic: the topic, as the brokers describe it.
        newest: the newest records of the topic.
        sample: some rows of the feature group, from the query service.
        certificates: where certificates of the cluster's Kafka lie during the run; the service has its own folder.
    """

    def __init__(self, settings: Settings, *, try_writing: bool = False) -> None:
        self.settings = settings
        self.try_writing = try_writing
        self.server: Lookup[Answer] = Lookup(lambda: self._ask(None))
        self.server_by_key: Lookup[Answer] = Lookup(lambda: self._ask(self.api_key()))
        self.session: Lookup[Session] = Lookup(self._open_session)
        self.group: Lookup[Any] = Lookup(lambda: self._find_group(settings.feature_group))
        self.label_group: Lookup[Any] = Lookup(lambda: self._find_group(settings.labels))
        self.view: Lookup[Any] = Lookup(self._find_view)
        self.connection: Lookup[Connection] = Lookup(self._connect)
        self.topic: Lookup[dict[str, Any]] = Lookup(lambda: describe(self.kafka, self.kafka.topic))
        self.newest: Lookup[Newest] = Lookup(lambda: newest_records(self.kafka, self.topic()["partitions"]))
        self.sample: Lookup[Sample] = Lookup(self._some_users)
        self.certificates: Lookup[PrivateFolder] = Lookup(_private_folder)

    @property
    def kafka(self) -> KafkaSettings:
        """How Kafka is reached, as the service would reach it."""
        return self.connection().kafka

    @property
    def cluster(self) -> Hopsworks:
        """The cluster, with short timeouts: no check may wait for it as long as the service does."""
        cluster = self.settings.hopsworks
        assert cluster is not None
        timeout = min(_REQUEST, cluster.request_timeout)
        return cluster.model_copy(update={"request_timeout": timeout, "retry_for": 0.0})

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

    def api_key(self) -> str:
        """The key of the cluster.

        Raises:
            Unauthorized: there is none.
        """
        from stores.hopsworks.secrets import api_key

        return api_key(self.cluster)

    def end(self) -> None:
        """Log out and remove the certificates. Ending twice is fine."""
        if self.session.known is not None:
            from stores.hopsworks.session import end_session

            end_session()
        if (folder := self.certificates.known) is not None:
            folder.remove()

    def _ask(self, key: str | None) -> Answer:
        from retrainer.doctor.control_plane import get

        return get(self.cluster, _VERSIONS, key)

    def _open_session(self) -> Session:
        from stores.hopsworks.session import session_with

        return session_with(self.cluster)

    def _find_group(self, contract: Any) -> Any:
        from stores.hopsworks.groups import find_group

        return find_group(self.session(), contract)

    def _find_view(self) -> Any:
        from stores.hopsworks.online import view_name

        store = self.settings.feature_store
        assert isinstance(store, HopsworksStore)
        session, name = self.session(), view_name(store, self.settings.feature_group)
        return session.ask(
            f"look for the feature view {name}",
            lambda: session.project.get_feature_store().get_feature_view(name, version=store.feature_view_version),
        )

    def _connect(self) -> Connection:
        if not self.has_cluster:
            return Connection(self.settings)
        return as_the_cluster_says(self.settings, self.session(), self.certificates().path)

    def _some_users(self) -> Sample:
        from retrainer.doctor.samples import some_users

        return some_users(self.group(), self.settings.feature_group)


def _private_folder() -> PrivateFolder:
    from stores.hopsworks.private_folder import PrivateFolder

    return PrivateFolder("doctor")
