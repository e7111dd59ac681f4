"""How the service would reach Kafka, by its settings and what the cluster says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from consumer.configuration.kafka import KafkaSettings
from consumer.connection import with_facts
from consumer.errors import ConsumerError
from consumer.settings import Settings

if TYPE_CHECKING:
    from stores.hopsworks.session import Session


@dataclass(frozen=True, slots=True)
class Connection:
    """The settings as the service would complete them, with the group's ids.

    Attributes:
        settings: completed.
        no_topic: why there is no topic that could be read; None where there is one.
    """

    settings: Settings
    no_topic: str | None = None

    @property
    def kafka(self) -> KafkaSettings:
        """Brokers, certificates and topic."""
        return self.settings.kafka


def as_the_cluster_says(settings: Settings, session: Session, tls_dir: Path) -> Connection:
    """The connection that the cluster describes; its certificates are written to `tls_dir`.

    Raises:
        ConsumerError: the cluster lacks something that the settings want, besides the topic.
        StoreError: the cluster does not say.
    """
    from stores.hopsworks.facts import group_facts

    facts = group_facts(session, settings.feature_group, None, tls_dir)
    try:
        return Connection(with_facts(settings, facts))
    except ConsumerError as error:
        # The check of the topic reports a missing topic. The brokers can be checked without it.
        named = settings.kafka.model_copy(update={"topic": settings.kafka.topic})
        return Connection(with_facts(settings.model_copy(update={"kafka": named}), facts), str(error))
