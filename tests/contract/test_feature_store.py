"""What every feature store must do. An adapter joins by a fixture parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import ArrayLike

from schemas.features import Column, FeatureGroup
from schemas.hopsworks import HopsworksStore
from stores.errors import ContractError, NotThere
from stores.feature_store import FeatureStore
from stores.features.hopsworks import HopsworksFeatureStore
from stores.features.local import LocalFeatureStore
from stores.features.reading import absent, read_all, read_users
from stores.hopsworks.session import Session
from tests.hopsworks_double import ClusterSpec, HopsworksDouble
from tests.hopsworks_double.clients.session import session_of
from tests.worlds import GROUP, World, names

Write = Callable[[dict[str, dict[str, ArrayLike | None]], list[str]], None]


class Bench(Protocol):
    """A store under test, and the way its users' features are written."""

    store: FeatureStore

    def write(self, upserts: dict[str, dict[str, ArrayLike | None]], deletes: list[str]) -> None:
        """Commit a change."""

    def reopened(self, group: FeatureGroup) -> FeatureStore:
        """The same store, opened for another contract."""


class LocalBench:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "store.db"
        self._local = LocalFeatureStore(self._path, GROUP)
        self._local.commit({})
        self.store: FeatureStore = self._local

    def write(self, upserts: dict[str, dict[str, ArrayLike | None]], deletes: list[str]) -> None:
        self._local.commit(upserts, deletes)

    def reopened(self, group: FeatureGroup) -> FeatureStore:
        return LocalFeatureStore(self._path, group)


class HopsworksBench:
    """A group in a double of a cluster, which is shared: each test empties it first."""

    def __init__(self, double: HopsworksDouble, session: Session, **settings: Any) -> None:
        self._double = double
        self._session = session
        self._settings = HopsworksStore(**settings)
        self.store: FeatureStore = self.reopened(GROUP)

    def write(self, upserts: dict[str, dict[str, ArrayLike | None]], deletes: list[str]) -> None:
        self._double.store.put(upserts, deletes)

    def reopened(self, group: FeatureGroup) -> FeatureStore:
        return HopsworksFeatureStore(self._session, self._settings, group)


CLUSTERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hopsworks": ({}, {}),
    "hopsworks, read online": ({}, {"snapshot": "online"}),
    "hopsworks, floats": ({"element": "float"}, {}),
    "hopsworks, offline-only": ({"online": False}, {}),
    "hopsworks, with history": ({"event_time": "told_at", "partition": "country"}, {}),
    "hopsworks, offline-only, with history": ({"online": False, "event_time": "told_at"}, {}),
}
"""What the cluster is like, and how its store is read."""


@pytest.fixture(scope="module", params=["local", *CLUSTERS])
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Path], Bench]]:
    """Makes benches of one kind."""
    if request.param == "local":
        yield LocalBench
        return
    spec, settings = CLUSTERS[request.param]
    with (
        HopsworksDouble(tmp_path_factory.mktemp("cluster"), ClusterSpec(group=GROUP, **spec)) as double,
        session_of(double) as session,
    ):

        def make(_: Path) -> Bench:
            double.store.put({}, [*double.store.online, *double.store.offline])
            return HopsworksBench(double, session, **settings)

        yield make


@pytest.fixture
def bench(cluster: Callable[[Path], Bench], tmp_path: Path) -> Iterator[Bench]:
    bench = cluster(tmp_path)
    yield bench
    bench.store.close()
    bench.store.close()  # closing twice is fine


def snapshot(store: FeatureStore) -> dict[str, dict[str, object]]:
    return {
        key: {name: blocks[at] for name, blocks in rows.columns.items()}
        for rows in store.snapshot(())
        for at, key in enumerate(rows.keys)
    }


def test_a_snapshot_holds_every_user_once_with_what_was_written(bench: Bench) -> None:
    written = World().rows(names(5000))
    bench.write({key: dict(row) for key, row in written.items()}, [])
    found = snapshot(bench.store)
    assert found.keys() == written.keys()
    assert bench.store.count() in {5000, None}
    for key in ("u0", "u2500", "u4999"):
        for column in GROUP.columns:
            np.testing.assert_array_equal(found[key][column.name], written[key][column.name])


def test_reading_by_key_gives_those_that_are_there_each_once(bench: Bench) -> None:
    bench.write({key: dict(row) for key, row in World().rows(names(1200)).items()}, [])
    asked = [*names(1100), "u3", "nobody", "u4"]
    rows = bench.store.read(asked)
    assert sorted(rows.keys) == sorted(names(1100))
    assert all(len(blocks) == 1100 for blocks in rows.columns.values())


def test_rows_and_keys_belong_together_in_whatever_order(bench: Bench) -> None:
    written = World().rows(names(50))
    bench.write({key: dict(row) for key, row in written.items()}, [])
    rows = bench.store.read(names(50)[::-1])
    for at, key in enumerate(rows.keys):
        np.testing.assert_array_equal(rows.columns["taste"][at], written[key]["taste"])


def test_an_upsert_replaces_and_a_delete_removes(bench: Bench) -> None:
    world = World()
    bench.write({key: dict(row) for key, row in world.rows(["u1", "u2"]).items()}, [])
    later = world.row()
    bench.write({"u1": dict(later)}, ["u2", "never there"])
    found = snapshot(bench.store)
    assert found.keys() == {"u1"}
    np.testing.assert_array_equal(found["u1"]["taste"], later["taste"])
    assert bench.store.read(["u2"]).keys == []


def test_odd_rows_come_as_they_are_for_the_check_to_refuse(bench: Bench) -> None:
    row = dict(World().row())
    bench.write(
        {
            "gap": {**row, "habit": None},
            "short": {**row, "taste": [1.0, 2.0]},
            "nan": {**row, "taste": [np.nan] * 8},
        },
        [],
    )
    rows = bench.store.read(["gap", "short", "nan"])
    at = {key: number for number, key in enumerate(rows.keys)}
    assert rows.columns["habit"][at["gap"]] is None
    short = rows.columns["taste"][at["short"]]
    assert short is not None
    assert short.shape == (2,)
    nan = rows.columns["taste"][at["nan"]]
    assert nan is not None
    assert np.isnan(nan).all()


def test_an_empty_store_is_empty(bench: Bench) -> None:
    assert snapshot(bench.store) == {}
    assert bench.store.read(["u1"]).keys == []
    assert bench.store.read([]).keys == []
    bench.store.check_contract()


def test_a_user_who_was_written_often_is_as_last_written(bench: Bench) -> None:
    world = World()
    for _ in range(3):
        later = world.rows(names(6))
        bench.write({key: dict(row) for key, row in later.items()}, [])
    found = snapshot(bench.store)
    by_key = bench.store.read(names(6))
    assert sorted(by_key.keys) == sorted(found) == names(6)
    for at, key in enumerate(by_key.keys):
        np.testing.assert_array_equal(np.asarray(found[key]["taste"]), later[key]["taste"])
        np.testing.assert_array_equal(np.asarray(by_key.columns["taste"][at]), later[key]["taste"])


def test_nobody_is_deleted_of_a_store_that_holds_nobody(bench: Bench) -> None:
    with pytest.raises(ContractError, match="listeners, version 1, holds no users"):
        read_all(bench.store, GROUP, (), lambda _read: None)
    with pytest.raises(ContractError, match="listeners, version 1, holds no users"):
        read_users(bench.store, GROUP, ["u1"], lambda _read: None)
    bench.write({"u2": dict(World().row())}, [])
    assert absent(["u1"], read_users(bench.store, GROUP, ["u1"], lambda _read: None)) == ["u1"]


def test_another_version_is_not_there_and_is_not_made_by_looking(bench: Bench) -> None:
    bench.write({"u1": dict(World().row())}, [])
    looks: list[Callable[[FeatureStore], object]] = [
        lambda store: store.check_contract(),
        lambda store: list(store.snapshot(())),
        lambda store: store.read(["u1"]),
    ]
    for look in (*looks, looks[0]):
        with (
            closing(bench.reopened(GROUP.model_copy(update={"version": 2}))) as other,
            pytest.raises((ContractError, NotThere), match="RETRAINER_FEATURE_GROUP__NAME and __VERSION name it"),
        ):
            look(other)


def test_a_snapshot_is_of_one_moment(bench: Bench) -> None:
    bench.write({key: dict(row) for key, row in World().rows(names(9000)).items()}, [])
    batches = bench.store.snapshot(())
    seen = len(next(batches).keys)
    bench.write({}, names(9000))
    assert seen + sum(len(rows.keys) for rows in batches) == 9000


def test_a_store_without_a_column_of_the_contract_says_which(bench: Bench) -> None:
    wider = GROUP.model_copy(update={"columns": (*GROUP.columns, Column(name="mood", length=3))})
    other = bench.reopened(wider)
    with pytest.raises(ContractError, match="mood"):
        other.check_contract()
    other.close()
