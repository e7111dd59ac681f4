"""What every label store must do. An adapter joins by a fixture parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest

from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup, PairKey, pair_text
from stores.errors import ContractError, NotThere
from stores.features.local import LocalFeatureStore
from stores.hopsworks.session import Session
from stores.label_store import LabelRows, LabelStore
from stores.labels.hopsworks import HopsworksLabelStore
from stores.labels.local import Label, LocalLabelStore
from stores.labels.reading import absent, read_all, read_pairs
from tests.hopsworks_double import ClusterSpec, HopsworksDouble
from tests.hopsworks_double.clients.session import session_of
from tests.worlds import GROUP

LABELS = LabelGroup(name="follows", weight="strength")
NOON = 1_700_000_000.0


class Bench(Protocol):
    """A store under test, and the way its labels are written."""

    store: LabelStore

    def write(self, upserts: Mapping[PairKey, Label], deletes: list[PairKey]) -> None:
        """Commit a change."""

    def reopened(self, group: LabelGroup) -> LabelStore:
        """The same store, opened for another contract."""


class LocalBench:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "store.db"
        with closing(LocalFeatureStore(self._path, GROUP)) as users:
            users.commit({})
        self._local = LocalLabelStore(self._path, LABELS)
        self._local.commit({})
        self.store: LabelStore = self._local

    def write(self, upserts: Mapping[PairKey, Label], deletes: list[PairKey]) -> None:
        self._local.commit(upserts, deletes)

    def reopened(self, group: LabelGroup) -> LabelStore:
        return LocalLabelStore(self._path, group)


class HopsworksBench:
    """A label group in a double of a cluster, which is shared: each test empties it first."""

    def __init__(self, double: HopsworksDouble, session: Session, **settings: Any) -> None:
        self._double = double
        self._session = session
        self._settings = HopsworksStore(**settings)
        self.store: LabelStore = self.reopened(LABELS)

    def write(self, upserts: Mapping[PairKey, Label], deletes: list[PairKey]) -> None:
        rows = {
            pair_text(pair): {
                "label": label.label,
                "labelled_at": None if label.at is None else int(label.at * 1000),
                "strength": label.weight,
            }
            for pair, label in upserts.items()
        }
        self._double.labels.store.put(rows, [pair_text(pair) for pair in deletes])

    def reopened(self, group: LabelGroup) -> LabelStore:
        return HopsworksLabelStore(self._session, self._settings, group)


CLUSTERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hopsworks": ({}, {}),
    "hopsworks, read online": ({}, {"snapshot": "online"}),
    "hopsworks, without history": ({"label_history": False}, {}),
    "hopsworks, offline-only": ({"labels_online": False}, {}),
    "hopsworks, offline-only, without history": ({"labels_online": False, "label_history": False}, {}),
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
    given, settings = CLUSTERS[request.param]
    spec = ClusterSpec(group=GROUP, labels=LABELS, **given)
    with HopsworksDouble(tmp_path_factory.mktemp("cluster"), spec) as double, session_of(double) as session:

        def make(_: Path) -> Bench:
            store = double.labels.store
            store.put({}, [*store.online, *store.offline])
            return HopsworksBench(double, session, **settings)

        yield make


@pytest.fixture
def bench(cluster: Callable[[Path], Bench], tmp_path: Path) -> Iterator[Bench]:
    bench = cluster(tmp_path)
    yield bench
    bench.store.close()
    bench.store.close()  # closing twice is fine


def follows(count: int, start: int = 0) -> dict[PairKey, Label]:
    """Each user follows the next; every third dismisses him."""
    return {
        (f"u{number}", f"u{number + 1}"): Label("dismiss" if number % 3 == 0 else "follow", NOON + number, 0.5)
        for number in range(start, start + count)
    }


def as_written(rows: LabelRows) -> dict[PairKey, Label]:
    values = zip(rows.labels, rows.times, rows.weights, strict=True)
    found = dict(zip(rows.pairs, (Label(*value) for value in values), strict=True))  # type: ignore[arg-type]
    assert len(found) == len(rows.pairs)
    return found


def snapshot(store: LabelStore, changed: list[PairKey] | None = None) -> dict[PairKey, Label]:
    parts = [as_written(rows) for rows in store.snapshot(changed or [])]
    found = {pair: label for part in parts for pair, label in part.items()}
    assert len(found) == sum(map(len, parts))
    return found


def test_a_snapshot_holds_every_label_once_as_it_was_written(bench: Bench) -> None:
    written = follows(5000)
    bench.write(written, [])
    assert snapshot(bench.store) == written
    assert bench.store.count() in {5000, None}


def test_reading_by_key_gives_those_that_are_there_each_once(bench: Bench) -> None:
    written = follows(1200)
    bench.write(written, [])
    asked = [*list(written)[:1100], ("u3", "u4"), ("u1", "u7"), ("u4", "u3"), ("nobody", "u4")]
    assert as_written(bench.store.read(asked)) == dict(list(written.items())[:1100])


def test_an_upsert_replaces_and_a_delete_removes(bench: Bench) -> None:
    bench.write({("a", "b"): Label("follow", NOON), ("b", "a"): Label("follow", NOON)}, [])
    bench.write({("a", "b"): Label("block", NOON + 60, 2.0)}, [("b", "a"), ("never", "there")])
    assert snapshot(bench.store) == {("a", "b"): Label("block", NOON + 60, 2.0)}
    assert bench.store.read([("b", "a")]).pairs == []
    bench.write({("b", "a"): Label("accept", NOON + 90)}, [])
    assert as_written(bench.store.read([("b", "a")])) == {("b", "a"): Label("accept", NOON + 90)}


def test_a_pair_is_two_keys_and_no_joining_of_them(bench: Bench) -> None:
    """Keys that look alike once joined, quoted or taken apart are different pairs."""
    odd = [("a", "b_c"), ("a_b", "c"), ("a'", "b"), ("a", "':b"), ("a,b", "c"), ("ä", "ö"), ("A", "b"), ("1", "2")]
    written = {pair: Label("follow", NOON + at) for at, pair in enumerate(odd)}
    bench.write(written, [])
    assert snapshot(bench.store) == written
    assert as_written(bench.store.read(odd)) == written
    for pair in odd:
        assert as_written(bench.store.read([pair, pair[::-1]])) == {pair: written[pair]}


def test_changed_labels_are_as_they_are_now(bench: Bench) -> None:
    written = follows(30)
    bench.write(written, [])
    gone, changed = list(written)[:5], {pair: Label("block", NOON + 99) for pair in list(written)[5:9]}
    bench.write(changed, gone)
    now = {pair: label for pair, label in (written | changed).items() if pair not in gone}
    assert snapshot(bench.store, [*gone, *changed]) == now


def test_odd_labels_come_as_they_are_for_the_check_to_refuse(bench: Bench) -> None:
    written = {("a", "b"): Label(None, None), ("a", "c"): Label("likes", NOON, 0.0), ("a", "a"): Label("follow", NOON)}
    bench.write(written, [])
    assert as_written(bench.store.read(list(written))) == written
    found = read_all(bench.store, LABELS, (), lambda _read: None)
    assert found.pairs == []
    assert found.refused.keys() == written.keys()


def test_a_group_without_labels_is_empty(bench: Bench) -> None:
    assert snapshot(bench.store) == {}
    assert bench.store.read([("a", "b")]).pairs == []
    assert bench.store.read([]).pairs == []
    bench.store.check_contract()
    assert absent([("a", "b")], read_pairs(bench.store, LABELS, [("a", "b")], lambda _read: None)) == [("a", "b")]


def test_a_weight_column_need_not_be_read(bench: Bench) -> None:
    bench.write({("a", "b"): Label("follow", NOON, 3.0)}, [])
    with closing(bench.reopened(LABELS.model_copy(update={"weight": None}))) as unweighted:
        assert unweighted.read([("a", "b")]).weights == [1.0]


def test_a_snapshot_is_of_one_moment(bench: Bench) -> None:
    written = follows(9000)
    bench.write(written, [])
    batches = bench.store.snapshot([])
    seen = len(next(batches).pairs)
    bench.write({}, list(written))
    assert seen + sum(len(rows.pairs) for rows in batches) == 9000


def test_another_version_is_not_there_and_is_not_made_by_looking(bench: Bench) -> None:
    bench.write(follows(1), [])
    looks: list[Callable[[LabelStore], object]] = [
        lambda store: store.check_contract(),
        lambda store: list(store.snapshot([])),
        lambda store: store.read([("a", "b")]),
    ]
    for look in (*looks, looks[0]):
        with (
            closing(bench.reopened(LABELS.model_copy(update={"version": 2}))) as other,
            pytest.raises((ContractError, NotThere), match="RETRAINER_LABELS__NAME and __VERSION name it"),
        ):
            look(other)


def test_a_group_without_a_column_says_which(bench: Bench) -> None:
    with (
        closing(bench.reopened(LABELS.model_copy(update={"label": "verdict"}))) as other,
        pytest.raises(ContractError, match="verdict"),
    ):
        other.check_contract()
