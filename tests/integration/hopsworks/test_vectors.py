"""Vectors in a feature group with an embedding index: the unmodified SDK creates, fills, switches and removes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from schemas.jobs.vectors import Tower, VectorsRequest, current_set, is_pushed
from stores.feature_store import Floats
from stores.hopsworks.session import end_session
from stores.hopsworks.vector_group import VectorGroup
from stores.vectors.pushing import push
from stores.vectors.reader import VectorSet
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.clients.session import cluster_of, session_of
from tests.hopsworks_double.rows.held import HeldGroup
from tests.unit.stores.vectors.made import DIMENSION, block, publish
from tests.worlds import GROUP, first_cycle, trainer_settings
from trainer.run import run_cycle
from trainer.vectors.export import export

pytestmark = pytest.mark.full

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


def nearest(double: HopsworksDouble, number: int, query: Floats) -> list[str]:
    """The four nearest candidates in a version of the group, as a server finds them with the SDK."""
    with session_of(double, request_timeout=5.0, retry_for=10.0) as session:
        group = session.project.get_feature_store().get_feature_group(NAME, version=number)
        names = [one.name for one in group.columns]
        rows = [dict(zip(names, row, strict=True)) for _, row in group.find_neighbors(query.tolist(), k=4)]
        assert {row["model_version"] for row in rows} == {number}
        return [row["user_id"] for row in rows]


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

    query = whole.vectors[Tower.CANDIDATE][3] + np.float32(0.01)
    found = nearest(double, 1, query)
    cosines = whole.vectors[Tower.CANDIDATE] @ query
    assert found == [whole.users[at] for at in np.argsort(-cosines, kind="stable")[:4]]

    changed = {**{user: row for user, row in ROWS.items() if user != "u4"}, "u5": 99, "new": 7}
    publish(out, 1, changed, removed=1, at=2)
    assert not is_pushed(out, NAME)
    announced = len(double.ingestions._rows)
    brought(double, out)
    assert sorted(first.store.online) == sorted(changed)
    written = double.ingestions._rows[announced:]
    assert written == [{"UPSERTED": 2}, {"DELETED": 1}]

    for version in (2, 3):
        publish(out, version, changed, at=version + 1)
        brought(double, out)
    groups = held(double)
    assert list(groups) == [2, 3]  # the one before stays
    assert told(groups[3])["version"] == 3
    assert "u4" not in nearest(double, 3, query)
    assert {row["model_version"][0] for row in groups[3].store.online.values() if row["model_version"]} == {3}


@pytest.mark.full  # trains
def test_the_process_that_computes_vectors_brings_them_to_the_group(double: HopsworksDouble, tmp_path: Path) -> None:
    settings = trainer_settings(tmp_path)
    request = first_cycle(settings, tmp_path)
    trained = run_cycle(request, lambda _progress: None, lambda: False)
    assert trained is not None
    assert trained.version == 1
    cluster = cluster_of(double, request_timeout=5.0, retry_for=10.0)
    asked = VectorsRequest(
        settings=settings.model_copy(update={"hopsworks": cluster}),
        version=1,
        champion=1,
        as_of="c1",
        out=tmp_path / "out",
        changed_only=True,
        feature_group=NAME,
    )
    try:
        stamp = export(asked, lambda _done, _about: None)
    finally:
        end_session()
    assert is_pushed(tmp_path / "out", NAME)
    found, rows = VectorSet.open(tmp_path / "out"), held(double)[1].store.online
    assert stamp.users == len(rows) == 400
    for at, user in enumerate(found.users):
        np.testing.assert_array_equal(rows[user]["candidate"], found.candidates[at])
