"""Settings that are sound one by one, and cannot be together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from consumer.configuration.dead_letters import DeadLetterSettings
from consumer.configuration.kafka import KafkaSettings
from consumer.configuration.model_events import ModelEventSettings
from consumer.configuration.vectors import VectorSettings
from schemas.cycle import LocalRegistry, LocalStore
from schemas.features import FeatureGroup
from schemas.hopsworks import Hopsworks, HopsworksDeployment, HopsworksRegistry, HopsworksStore
from schemas.labels import LabelGroup


class Parts(Protocol):
    """What of the settings is looked at together."""

    @property
    def kafka(self) -> KafkaSettings:
        """Topics and where events come from."""

    @property
    def feature_group(self) -> FeatureGroup:
        """The group of the users."""

    @property
    def labels(self) -> LabelGroup | None:
        """The group of the labels, if there is one."""

    @property
    def hopsworks(self) -> Hopsworks | None:
        """The cluster, if there is one."""

    @property
    def feature_store(self) -> LocalStore | HopsworksStore:
        """Where rows are read."""

    @property
    def model_registry(self) -> LocalRegistry | HopsworksRegistry:
        """Where versions go."""

    @property
    def deployment(self) -> HopsworksDeployment | None:
        """The deployment that serves the champion, if there is one."""

    @property
    def dead_letters(self) -> DeadLetterSettings:
        """Where copies of dead letters go."""

    @property
    def model_events(self) -> ModelEventSettings:
        """Where model events go."""

    @property
    def vectors(self) -> VectorSettings:
        """Where vectors go."""


def misfits(settings: Parts) -> Iterator[str]:
    """What contradicts itself or lacks its other half, each with the way out."""
    if settings.labels is not None and len(settings.kafka.topics) == 1:
        yield from _indistinguishable(settings, settings.labels)
    yield from _without_a_cluster(settings)
    yield from _own_dead_letters(settings)
    yield from _own_model_events(settings)
    if settings.deployment is not None and settings.model_registry.kind != "hopsworks":
        yield (
            "RETRAINER_DEPLOYMENT__NAME needs versions in the registry of a cluster, and they are in a folder: set "
            "RETRAINER_HOPSWORKS__HOST and __PROJECT, or RETRAINER_EXPORT__OUT for a TensorFlow Serving of your own"
        )


def _indistinguishable(settings: Parts, labels: LabelGroup) -> Iterator[str]:
    """Both groups share a topic."""
    users = settings.feature_group
    if None not in (users.id, labels.id):
        apart, by = users.id != labels.id, f"id {users.id}"
    else:
        apart, by = (users.name, users.version) != (labels.name, labels.version), f"name {users.name}"
    if not apart:
        yield (
            f"the feature group and the label group share topic {settings.kafka.topic} and have the same {by}: set "
            "RETRAINER_LABELS__NAME or __ID to the label group's own, or RETRAINER_KAFKA__LABEL_TOPIC to its topic"
        )


def _without_a_cluster(settings: Parts) -> Iterator[str]:
    if settings.hopsworks is not None:
        return
    if "hopsworks" in {settings.feature_store.kind, settings.model_registry.kind}:
        yield "a store or registry of kind hopsworks needs RETRAINER_HOPSWORKS__HOST and __PROJECT"
    if settings.vectors.feature_group is not None:
        yield "RETRAINER_VECTORS__FEATURE_GROUP needs RETRAINER_HOPSWORKS__HOST and __PROJECT"
    if settings.kafka.source == "ingestion" and settings.feature_group.id is None:
        # Every row would be taken for another group's, and passed over without a word.
        yield "RETRAINER_KAFKA__SOURCE=ingestion needs RETRAINER_FEATURE_GROUP__ID, or a cluster to ask"
    if settings.kafka.source == "ingestion" and settings.labels is not None and settings.labels.id is None:
        yield "RETRAINER_KAFKA__SOURCE=ingestion needs RETRAINER_LABELS__ID, or a cluster to ask"


def _own_dead_letters(settings: Parts) -> Iterator[str]:
    if (topic := settings.dead_letters.topic) in settings.kafka.topics:
        name = "TOPIC" if topic == settings.kafka.topic else "LABEL_TOPIC"
        yield (
            f"RETRAINER_DEAD_LETTERS__TOPIC and RETRAINER_KAFKA__{name} are both {topic}: every dead letter would come "
            "back as another; name a topic of their own"
        )


def _own_model_events(settings: Parts) -> Iterator[str]:
    if (topic := settings.model_events.topic) is not None and topic in {
        *settings.kafka.topics,
        settings.dead_letters.topic,
    }:
        yield (
            f"RETRAINER_MODEL_EVENTS__TOPIC is {topic}, which change events or dead letters have already; name a topic "
            "of their own"
        )
