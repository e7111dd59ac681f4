"""Notifications of changed rows, in every shape that a real cluster may give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.rows.held import HeldGroup

DELETE = {"operation": b"delete"}


@dataclass(frozen=True)
class Message:
    """What goes to the notification topic."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


def messages(
    cluster: Cluster, views: list[Json], key: str, row: Mapping[str, Any] | None, group: HeldGroup | None = None
) -> list[Message]:
    """The notifications of one written row, of a user where no group is given; None for a deleted row."""
    of = group or cluster.users
    variants = cluster.spec.variants
    if row is None and variants.delete_events == "none":
        return []
    if row is None and variants.delete_events == "tombstone":
        message = Message(key.encode(), None, {})
    else:
        marked = row is None and variants.delete_events == "header"
        named = key.encode() if variants.keyed else None
        message = Message(named, json.dumps(_event(cluster, of, views, key, row)).encode(), DELETE if marked else {})
    return [message] * (2 if variants.duplicates else 1)


def _event(cluster: Cluster, group: HeldGroup, views: list[Json], key: str, row: Mapping[str, Any] | None) -> Json:
    event: Json = {
        "projectId": cluster.project_id,
        "featureStoreId": cluster.feature_store_id,
        "featureGroupId": group.id,
        "entry": _entry(cluster, group, key, row),
        "featureViews": [],
    }
    if cluster.spec.variants.event_shape == "old":
        return event
    named = {
        "projectName": cluster.spec.project,
        "featureGroupName": group.group.name,
        "featureGroupVersion": group.group.version,
        "featureViews": [_view(cluster, view) for view in views],
    }
    return event | named


def _entry(cluster: Cluster, group: HeldGroup, key: str, row: Mapping[str, Any] | None) -> Json:
    entry: Json = dict(group.ends(key))
    kind = cluster.spec.variants.arrays_in_entry
    if kind == "absent":
        return entry
    for column in group.columns[len(group.keys) :]:
        values = None if row is None else row[column]
        entry[column] = values if kind == "list" or values is None else json.dumps(values)
    return entry


def _view(cluster: Cluster, view: Json) -> Json:
    own = {name: view[name] for name in ("id", "name", "version", "featurestoreId")}
    return {"projectName": cluster.spec.project, **own}
