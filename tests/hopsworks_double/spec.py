"""What a test asks of a cluster: the groups it serves, how it behaves where the facts are unknown, its Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from schemas.features import FeatureGroup
from schemas.labels import LabelGroup


@dataclass(frozen=True, kw_only=True)
class Variants:
    """What is not known of real clusters. A client has to work with every combination."""

    arrays_in_entry: Literal["text", "list", "absent"] = "text"
    """How array columns appear in a notification's entry."""
    event_shape: Literal["new", "old"] = "new"
    """With names and feature views, or ids only."""
    delete_events: Literal["none", "event", "header", "tombstone"] = "event"
    """No event; one like that of an upsert; the same with the header operation=delete; a null value with the key."""
    keyed: bool = True
    """Whether a notification has the user as its key. A tombstone always has."""
    duplicates: bool = False
    """Whether each notification is sent twice."""


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """One project with one feature group, and perhaps a label group."""

    group: FeatureGroup
    """Its `id` and `feature_store_id` are kept where they are set, and drawn otherwise."""
    online: bool = True
    """False: a group as `get_or_create_feature_group` makes it by default, without online store and topics."""
    element: Literal["double", "float"] = "double"
    project: str = "spotify"
    notification_topic: str | None = "spotify_user_embeddings_changes"
    notification_partitions: int = 2
    """Of the notification topic, where the double has to make it."""
    ingestion_topic: str = "spotify_onlinefs"
    feature_view: bool = False
    """Whether the view `<group>_retrainer`, version 1, is there from the start."""
    variants: Variants = field(default_factory=Variants)
    time_travel: Literal["DELTA", "HUDI", "NONE"] = "DELTA"
    event_time: str | None = None
    """A column with the time of what a row tells: another one is another row of the offline table, which keeps both."""
    partition: str | None = None
    """A column of texts that the offline table is partitioned by: another one is another row, too."""
    labels: LabelGroup | None = None
    """The label group; its `id` is kept where it is set, and drawn otherwise."""
    labels_online: bool | None = None
    """As `online`, of the label group; None for the same."""
    label_topic: str | None = "spotify_user_pair_labels_changes"
    label_history: bool = True
    """Whether the label group has its time as event time, so that its offline table keeps every label of a pair."""


@dataclass(frozen=True, kw_only=True)
class KafkaAccess:
    """The broker of the test. PLAINTEXT is announced as an external Kafka, SSL as the cluster's own."""

    bootstrap_servers: str
    security_protocol: Literal["PLAINTEXT", "SSL"] = "PLAINTEXT"
