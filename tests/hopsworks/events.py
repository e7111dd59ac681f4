"""Notifications of changed rows, in every shape that a real cluster may give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.hopsworks.cluster import Cluster
from tests.hopsworks.metadata import Json

DELETE = {"operation": b"delete"}


@dataclass(frozen=True)
class Message:
    """What goes to the notification topic."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


def messages(cluster: Cluster, views: list[Json], user: str, row: Mapping[str, Any] | None) -> list[Message]:
    """The notifications of one written row; None for a row that was deleted."""
    variants = cluster.spec.variants
    if row is None and variants.delete_events == "none":
        return []
    key = user.encode() if variants.keyed else None
    if row is None and variants.delete_events == "tombstone":
        message = Message(user.encode(), None, {})
    else:
        marked = row is None and variants.delete_events == "header"
        message = Message(key, json.dumps(_event(cluster, views, user, row)).encode(), DELETE if marked else {})
    return [message] * (2 if variants.duplicates else 1)


def _event(cluster: Cluster, views: list[Json], user: str, row: Mapping[str, Any] | None) -> Json:
    event: Json = {
        "projectId": cluster.project_id,
        "featureStoreId": cluster.feature_store_id,
        "featureGroupId": cluster.feature_group_id,
        "entry": _entry(cluster, user, row),
        "featureViews": [],
    }
    if cluster.spec.variants.event_shape == "old":
        return event
    named = {
        "projectName": cluster.spec.project,
        "featureGroupName": cluster.spec.group.name,
        "featureGroupVersion": cluster.spec.group.version,
        "featureViews": [_view(cluster, view) for view in views],
    }
    return event | named


def _entry(cluster: Cluster, user: str, row: Mapping[str, Any] | None) -> Json:
    entry: Json = {cluster.spec.group.primary_key: user}
    kind = cluster.spec.variants.arrays_in_entry
    if kind == "absent":
        return entry
    for column in cluster.spec.group.columns:
        values = None if row is None else row[column.name]
        entry[column.name] = values if kind == "list" or values is None else json.dumps(values)
    return entry


def _view(cluster: Cluster, view: Json) -> Json:
    own = {name: view[name] for name in ("id", "name", "version", "featurestoreId")}
    return {"projectName": cluster.spec.project, **own}
