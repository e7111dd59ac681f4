"""Feature groups with an event time: the offline table keeps a row for each (user, event time); the latest counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrainer.bridge.comparison import Comparison
from retrainer.bridge.state import BridgeState
from schemas.events import Change, Operation
from schemas.hopsworks import HopsworksStore
from stores.errors import ContractError
from stores.feature_store import FeatureRows
from stores.features.hopsworks import HopsworksFeatureStore
from stores.features.reading import read_all
from tests.hopsworks_double import ClusterSpec, HopsworksDouble
from tests.hopsworks_double.clients.session import session_of
from tests.hopsworks_double.rows.tables import Stored
from tests.worlds import GROUP, World, names

SPEC = ClusterSpec(group=GROUP, online=False, event_time="told_at", partition="country")


@pytest.fixture(scope="module", params=[False, True], ids=["offline-only", "online-enabled"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HopsworksDouble]:
    spec = ClusterSpec(group=GROUP, online=request.param, event_time="told_at", partition="country")
    with HopsworksDouble(tmp_path_factory.mktemp("cluster"), spec) as found:
        yield found


@pytest.fixture
def double(running: HopsworksDouble) -> HopsworksDouble:
    running.store.put({}, [*running.store.offline, *running.store.online])
    return running


@pytest.fixture
def store(double: HopsworksDouble) -> Iterator[HopsworksFeatureStore]:
    with session_of(double) as session:
        yield HopsworksFeatureStore(session, HopsworksStore(), GROUP)


def tastes(parts: list[FeatureRows]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for rows in parts:
        for key, taste in zip(rows.keys, rows.columns["taste"], strict=True):
            assert key not in found, f"{key} came twice"
            assert taste is not None
            found[key] = taste.tolist()
    return found


def told(value: float, at: int | None = None, country: str | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {**World().row(), "taste": np.full(8, value)}
    return row | ({} if at is None else {"told_at": at}) | ({} if country is None else {"country": country})


def test_a_user_is_as_his_latest_row_says(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    """The double answers history first, as Hopsworks does: taken as it comes, everybody would be as at first."""
    double.store.put({user: told(1.0, at=1_000) for user in names(5)})
    double.store.put({"u0": told(2.0, at=3_000), "u1": told(2.0, at=3_000), "u2": {**told(2.0), "told_at": None}})
    double.store.put({"u0": told(3.0, at=2_000)})  # late: what it tells was before
    assert len(double.store.offline_rows()) == 9
    store.check_contract()
    everybody = tastes(list(store.snapshot(())))
    assert {user: taste[0] for user, taste in everybody.items()} == {"u0": 2, "u1": 2, "u2": 1, "u3": 1, "u4": 1}
    assert tastes([store.read([*names(5), "nobody"])]) == everybody
    assert tastes([store.read([*names(5), *names(1500, start=100)])]) == everybody  # too many for a filter
    double.store.put({}, ["u0"])
    assert "u0" not in tastes(list(store.snapshot(())))
    assert store.read(["u0"]).keys == []


def test_a_table_with_history_is_read_as_it_was(double: HopsworksDouble) -> None:
    """Offline, also where the group has an online store, which knows only today's rows."""
    double.store.put({user: told(1.0, at=1_000) for user in names(3)})
    double.store.put({"u0": told(2.0, at=3_000), "new": told(2.0, at=3_000)})
    with session_of(double) as session:
        then = datetime.fromtimestamp(2, UTC)
        past = HopsworksFeatureStore(session, HopsworksStore(), GROUP, as_of=then)
        assert past.keeps_history
        found = tastes(list(past.snapshot(("u0",))))
        assert {user: taste[0] for user, taste in found.items()} == {"u0": 1.0, "u1": 1.0, "u2": 1.0}
        assert tastes([past.read(["u0", "new"])])["u0"][0] == 1.0
        assert past.read(["new"]).keys == []


def test_of_two_partitions_at_one_time_it_is_always_the_same(
    double: HopsworksDouble, store: HopsworksFeatureStore
) -> None:
    for order in (("se", "de"), ("de", "se")):
        double.store.put({}, ["u0"])
        for country in order:
            double.store.put_offline({"u0": told(float(country == "se"), at=1_000, country=country)})
        assert tastes(list(store.snapshot(())))["u0"][0] == 1.0


def test_what_is_written_between_the_two_passes_loses_nobody(
    double: HopsworksDouble, store: HopsworksFeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pass sees times, the second rows; by then one row is gone, another is new, and so is a user."""
    double.store.put_offline({user: told(1.0, at=1_000) for user in names(4)})
    double.store.put_offline({"u0": told(2.0, at=2_000)})
    rows, calls = double.store.offline_rows, count()

    def offline_rows(keys: Iterable[str] | None = None) -> list[tuple[str, Stored]]:
        if next(calls) == 1:  # right before the rows are read
            double.store.put_offline({"u1": told(2.0, at=2_000), "new": told(2.0, at=2_000)}, ["u0", "u3"])
            double.store.put_offline({"u0": told(1.0, at=1_000)})
        return rows(keys)

    monkeypatch.setattr(double.store, "offline_rows", offline_rows)
    found = {user: taste[0] for user, taste in tastes(list(store.snapshot(()))).items()}
    assert found == {"u0": 1.0, "u1": 1.0, "u2": 1.0}  # all as of the first pass, but for who has no such row any more


def test_memory_does_not_hold_the_history(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    """A block of a batch is a view of the whole batch: of users read by key none may keep one."""
    for number in range(3):
        double.store.put_offline({user: told(float(number), at=number) for user in names(50)})
    for blocks in store._reader._offline.read(names(1100)).columns.values():
        assert all(block is not None and (block.base is None or block.base.size <= 8) for block in blocks)


def test_partitions_without_an_event_time_are_refused_once_a_user_has_two_rows(tmp_path: Path) -> None:
    spec = ClusterSpec(group=GROUP, online=False, partition="country")
    with HopsworksDouble(tmp_path, spec) as double, session_of(double) as session:
        store = HopsworksFeatureStore(session, HopsworksStore(), GROUP)
        double.store.put({user: told(1.0, country="se") for user in names(3)})
        store.check_contract()
        assert tastes(list(store.snapshot(()))).keys() == set(names(3)) == set(store.read(names(3)).keys)
        double.store.put({"u1": told(1.0, country="de")})
        said = r"listeners has several rows of 'u1' \(its partitions are by country\), and no event time tells"
        with pytest.raises(ContractError, match=said):
            read_all(store, GROUP, (), lambda _read: None)
        with pytest.raises(ContractError, match=said):
            store.read(["u1"])
        assert store.read(["u0", "u2"]).keys == ["u0", "u2"]


def test_the_bridge_announces_a_user_with_a_newer_row_once(tmp_path: Path) -> None:
    heard: list[Change] = []
    with HopsworksDouble(tmp_path / "cluster", SPEC) as double, session_of(double) as session:
        state = BridgeState(tmp_path / "state.db")
        state.begin(publishes=False)

        def compared(publishing: bool = True) -> list[tuple[str, Operation]]:
            heard.clear()
            store = HopsworksFeatureStore(session, HopsworksStore(), GROUP)
            Comparison(state, GROUP, heard.extend if publishing else None, 2, lambda: None).run(store, 1e9)
            return sorted((change.key, change.operation) for change in heard)

        double.store.put({user: told(1.0, at=1_000) for user in names(5)})
        compared(publishing=False)
        double.store.put({"u1": told(2.0, at=2_000), "u3": told(3.0, at=2_000)})
        assert compared() == [("u1", Operation.UPSERT), ("u3", Operation.UPSERT)]
        assert compared() == []
        double.store.put({"u3": told(4.0, at=500)})  # late, so it changes nobody
        assert compared() == []
        double.store.put({}, ["u1"])
        assert compared() == [("u1", Operation.DELETE)]
        state.close()
