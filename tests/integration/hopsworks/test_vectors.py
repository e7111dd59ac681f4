"""Vectors in a feature group with an embedding index: the unmodified SDK creates, fills, switches and removes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from schemas.vectors import Tower, current_set, is_pushed
from stores.hopsworks.vector_group import VectorGroup
from stores.vectors.pushing import push
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.clients.session import session_of
from tests.hopsworks_double.rows.held import HeldGroup
from tests.unit.stores.vectors.made import DIMENSION, block, publish
from tests.waiting import wait_until
from tests.worlds import GROUP

NAME = "recommender_vectors"
ROWS = {f"u{number}": number + 1 for number in range(10)}


@pytest.fixture
def double(tansu_address: str, tmp_path: Path) -> Iterator[HopsworksDouble]:
    spec = ClusterSpec(group=GROUP, notification_topic=None, ingestion_topic=f"onlinefs-{uuid4().hex}")
    with HopsworksDouble(tmp_path / "double", spec, KafkaAccess(bootstrap_servers=tansu_address)) as running:
        yield running


def held(double: HopsworksDouble) -> dict[int, HeldGroup]:
    return {one.group.version: one for one in double.cluster.groups if one.group.name == NAME}


def told(group: HeldGroup) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(group.description)
    return found


def brought(double: HopsworksDouble, out: Path) -> None:
    with session_of(double, request_timeout=5.0, retry_for=10.0) as session:
        folder = current_set(out)
        assert folder is not None
        push(VectorGroup(session, NAME, "user_id"), NAME, folder)


def test_a_group_follows_the_sets(double: HopsworksDouble, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(out, 1, ROWS, at=1)
    assert not is_pushed(out, NAME)
    brought(double, out)
    assert is_pushed(out, NAME)
    first = held(double)[1]
    whole = block(ROWS)
    assert sorted(first.store.online) == whole.users
    for at, user in enumerate(whole.users):
        row = first.store.online[user]
        np.testing.assert_array_equal(row["query"], whole.vectors[Tower.QUERY][at])
        np.testing.assert_array_equal(row["candidate"], whole.vectors[Tower.CANDIDATE][at])
        assert row["model_version"] == [1]
    assert first.embedding_index is not None
    (indexed,) = first.embedding_index["features"]
    assert (indexed["name"], indexed["dimension"], indexed["similarityFunctionType"]) == (
        "candidate",
        DIMENSION,
        "cosine",
    )
    assert told(first) == {"complete": True, "model": "m", "version": 1, "towers": 1, "index_compatible_with": None}

    changed = {**{user: row for user, row in ROWS.items() if user != "u4"}, "u5": 99, "new": 7}
    publish(out, 1, changed, removed=1, at=2)
    assert not is_pushed(out, NAME)
    announced = len(double.ingestions._rows)
    brought(double, out)
    wait_until(lambda: sorted(first.store.online) == sorted(changed), 10, "the removal")
    written = double.ingestions._rows[announced:]
    assert written == [{"UPSERTED": 2}, {"DELETED": 1}]

    for version in (2, 3):
        publish(out, version, changed, at=version + 1)
        brought(double, out)
    groups = held(double)
    assert list(groups) == [2, 3]  # the one before stays
    assert told(groups[3])["version"] == 3
    assert {row["model_version"][0] for row in groups[3].store.online.values() if row["model_version"]} == {3}
