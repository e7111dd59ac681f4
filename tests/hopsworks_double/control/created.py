"""Feature groups that a client creates and deletes: online ones with one primary key, such as groups of vectors.

The SDK needs no more of an embedding index than its name and the prefix of its columns; the search of it is in
`online.vector_database`.
"""

from __future__ import annotations

import secrets
from functools import partial

from schemas.features import Column
from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control import metadata
from tests.hopsworks_double.control.ingestions import Ingestions
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply
from tests.hopsworks_double.kafka.api import KafkaApi
from tests.hopsworks_double.rows.columns import CreatedGroup, Kind
from tests.hopsworks_double.rows.held import HeldGroup

GROUP_EXISTS = 270089

_KINDS: dict[str, Kind] = {"array<float>": "array", "string": "string", "double": "double", "bigint": "bigint"}


class CreatedGroups:
    """They join the groups of the cluster."""

    def __init__(self, cluster: Cluster, control: ControlPlane, kafka: KafkaApi, ingestions: Ingestions) -> None:
        self._cluster = cluster
        self._control = control
        self._kafka = kafka
        self._ingestions = ingestions
        control.router.add("POST", f"{control.store}/featuregroups", self._create)

    def _create(self, call: ApiCall) -> Reply:
        asked = call.json()
        name, version = asked["name"], asked["version"]
        if any(group.is_of(name, version) for group in self._cluster.groups):
            raise ApiError(400, GROUP_EXISTS, "The feature group you are trying to create does already exist.")
        group = self._held(asked, name, version)
        self._cluster.groups.append(group)
        for part in (self._control, self._kafka, self._ingestions):
            part.serve(group)
        path = f"{self._control.store}/featuregroups/{group.id}"
        self._control.router.add("DELETE", path, partial(self._delete, group), first=True)
        return Reply(201, metadata.feature_group(self._cluster, group))

    def _held(self, asked: Json, name: str, version: int) -> HeldGroup:
        (key,) = (one["name"] for one in asked["features"] if one["primary"])
        rest = {one["name"]: _kind(one["type"]) for one in asked["features"] if not one["primary"]}
        return HeldGroup(
            group=CreatedGroup(
                name=name,
                version=version,
                primary_key=key,
                columns=tuple(Column(name=column, length=1) for column in rest),
                kinds=rest,
            ),
            id=1000 + secrets.randbelow(1_000_000_000),
            feature_store=self._cluster.feature_store,
            online=asked["onlineEnabled"],
            element="float",
            event_time=None,
            partition=None,
            time_travel="NONE",
            notification_topic=None,
            description=asked["description"] or "",
            embedding_index=_index(asked.get("embeddingIndex"), self._cluster.project_id),
        )

    def _delete(self, group: HeldGroup, _: ApiCall) -> Reply:
        if group not in self._cluster.groups:
            raise ApiError(404, 270009, "Featuregroup wasn't found.")
        self._cluster.groups.remove(group)
        return Reply(200)


def _kind(named: str) -> Kind:
    if named not in _KINDS:
        raise ApiError(400, 120001, f"the double has no column of type {named}")
    return _KINDS[named]


def _index(asked: Json | None, project: int) -> Json | None:
    """The index as a cluster gives it: in one of the project's own, where the client names none."""
    if asked is None:
        return None
    name = asked.get("indexName") or f"{project}__embedding_default_embedding"
    return {"indexName": name, "colPrefix": f"{secrets.randbelow(10_000)}_", "features": asked["features"]}
