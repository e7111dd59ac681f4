"""The things made for a group: the topic, its name on the group, the feature view. Each step looks first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consumer.configuration.kafka import KafkaSettings
from consumer.connection import with_facts
from consumer.errors import ConsumerError
from consumer.settings import Settings
from retrainer.setup.made import Made, Step
from retrainer.setup.topics import Topics
from schemas.events import Group
from schemas.hopsworks import GroupFacts, HopsworksStore, Source
from schemas.labels import LabelGroup

if TYPE_CHECKING:
    from stores.hopsworks.session import Session

DELAY = "the cluster heeds that within 30 minutes"


@dataclass(frozen=True, slots=True)
class Wishes:
    """The wishes of the caller. With `dry_run` nothing is changed."""

    dry_run: bool = False
    partitions: int = 3
    replace: bool = False
    """Whether another notification topic of the group may be replaced."""
    ray_job: str | None = None
    """The name of the Ray job that is wanted."""
    ray_workers: int = 1
    """Pods of Ray that it may have, beside the head."""


class Setup:
    """The steps for one group, of users or of labels.

    Args:
        settings: of the service.
        session: with the cluster.
        contract: the group as the settings describe it.
        group: the SDK's.
        facts: of both groups.
        wishes: of the caller.
    """

    def __init__(
        self, settings: Settings, session: Session, contract: Group, group: Any, facts: GroupFacts, wishes: Wishes
    ) -> None:
        self._settings = settings
        self._session = session
        self._contract = contract
        self._group = group
        self._users = facts.model_copy(update={"labels": None})
        self._labels = isinstance(contract, LabelGroup)
        self._facts = facts.labels if self._labels and facts.labels is not None else self._users
        self._wishes = wishes

    def run(self) -> Iterator[Step]:
        """Do the steps in order, and yield each when it is done.

        Raises:
            ConsumerError: a thing cannot be made, or would replace a setting of another user.
            StoreError: the cluster fails.
        """
        kafka = self._kafka()
        source = self._source(kafka)
        if source == "notification":
            topic = self._wanted()
            yield self._topic(topic, kafka)
            yield self._name(topic)
        elif source == "bridge":
            yield self._topic(self._given() or f"{self._contract.name}_changes", kafka)
        if isinstance(self._settings.feature_store, HopsworksStore) and self._facts.online_enabled:
            yield self._view(self._settings.feature_store)

    def _kafka(self) -> KafkaSettings:
        """How Kafka is reached. The topic in it has no meaning, as it may not exist yet.

        Raises:
            ConsumerError: the group cannot have this source.
        """
        given = self._settings.kafka
        named = given.model_copy(update={"topic": given.topic})
        return with_facts(self._settings.model_copy(update={"kafka": named}), self._users).kafka

    def _source(self, kafka: KafkaSettings) -> Source:
        """The source of the group's changes: a bridge for an offline-only label group, whatever the users have."""
        if not self._labels:
            return kafka.source
        if not self._facts.online_enabled:
            return "bridge"
        return "ingestion" if kafka.source == "ingestion" else "notification"

    def _given(self) -> str | None:
        """The topic that is set by hand."""
        kafka = self._settings.kafka
        if self._labels:
            return kafka.label_topic
        return kafka.topic if "topic" in kafka.model_fields_set else None

    def _wanted(self) -> str:
        """The notification topic: the one that is set, else that of the group, else one named after both."""
        given, told = self._given(), self._facts.notification_topic
        if given is None:
            # All projects of a cluster share the names of topics.
            cluster = self._settings.hopsworks
            assert cluster is not None
            return told or f"{cluster.project}_{self._contract.name}_changes"
        if told is not None and told != given and not self._wishes.replace:
            setting = "RETRAINER_KAFKA__LABEL_TOPIC" if self._labels else "RETRAINER_KAFKA__TOPIC"
            raise ConsumerError(
                f"the group tells its changes to {told} already, and {setting} is {given}; unset "
                f"that to read {told}, or replace it with --replace: whoever reads {told} gets nothing more then"
            )
        return given

    def _topic(self, topic: str, kafka: KafkaSettings) -> Step:
        by_hand = "bootstrap_servers" in self._settings.kafka.model_fields_set
        topics = Topics(None if by_hand else self._session, kafka)
        if (count := topics.partitions(topic)) is not None:
            return Step(Made.PRESENT, f"topic {topic} with {_counted(count)}")
        partitions = self._wishes.partitions
        return self._unless_dry(f"topic {topic} with {_counted(partitions)}", lambda: topics.make(topic, partitions))

    def _name(self, topic: str) -> Step:
        told = self._facts.notification_topic
        what = f"the {'label ' if self._labels else ''}group's notification topic {topic}"
        if told == topic:
            return Step(Made.PRESENT, what)
        what = f"{what}{f' in place of {told}' if told else ''} ({DELAY})"
        group, session = self._group, self._session
        return self._unless_dry(
            what,
            lambda: session.ask("set the notification topic", lambda: group.update_notification_topic_name(topic)),
        )

    def _view(self, store: HopsworksStore) -> Step:
        from stores.hopsworks.online import ensure_view, view_name

        session, group, contract = self._session, self._group, self._contract
        name, version = view_name(store, contract), store.feature_view_version
        what = f"feature view {name}, version {version}"

        def look() -> Any:
            return session.project.get_feature_store().get_feature_view(name, version=version)

        if session.ask(f"look for {what}", look) is not None:
            return Step(Made.PRESENT, what)
        return self._unless_dry(
            what, lambda: session.ask(f"make {what}", lambda: ensure_view(session, store, contract, group))
        )

    def _unless_dry(self, what: str, make: Callable[[], object]) -> Step:
        if self._wishes.dry_run:
            return Step(Made.WOULD, what)
        make()
        return Step(Made.MADE, what)


def _counted(partitions: int) -> str:
    return f"{partitions} partition{'' if partitions == 1 else 's'}"
