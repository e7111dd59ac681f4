"""Reading labels from a cluster on its bad days: what cannot be read is an error, never a label that seems deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup, PairKey, pair_text
from stores.errors import ClusterError, ClusterUnreachable, ContractError
from stores.hopsworks.groups import differences, native_keys
from stores.hopsworks.session import Session
from stores.labels.hopsworks import HopsworksLabelStore
from tests.hopsworks_double import ClusterSpec, ErrorRow, Fault, HopsworksDouble, LoseReply, Status
from tests.hopsworks_double.clients.session import session_of
from tests.worlds import GROUP

LABELS = LabelGroup(name="follows")
AB, AC, BA = ("a", "b"), ("a", "c"), ("b", "a")
NOON = 1_700_000_000_000


@pytest.fixture
def double(tmp_path: Path) -> Iterator[HopsworksDouble]:
    with HopsworksDouble(tmp_path / "cluster", ClusterSpec(group=GROUP, labels=LABELS)) as double:
        write(double, "follow", NOON, AB, AC, BA)
        yield double


@pytest.fixture
def session(double: HopsworksDouble) -> Iterator[Session]:
    with session_of(double) as session:
        yield session


@pytest.fixture
def store(session: Session) -> HopsworksLabelStore:
    return HopsworksLabelStore(session, HopsworksStore(), LABELS)


def write(double: HopsworksDouble, label: str, at: int, *pairs: PairKey) -> None:
    double.labels.store.put({pair_text(pair): {"label": label, "labelled_at": at} for pair in pairs})


def test_a_label_that_could_not_be_read_is_not_a_deleted_one(
    double: HopsworksDouble, store: HopsworksLabelStore
) -> None:
    """HTTP 200 with the status ERROR inside: the SDK leaves such a row out, as it does a missing one."""
    fault = double.faults.add(Fault("rest", "batch_feature_store", ErrorRow([pair_text(AB)]), times=None))
    assert sorted(store.read([AB, BA, ("b", "c")]).pairs) == [AB, BA]
    assert fault.hits > 0
    double.faults.add(Fault("mysql", "(?i)from", Status(1317), times=None))
    with pytest.raises(ClusterUnreachable, match="look up 1 keys of follows by SQL: online store"):
        store.read([AB, BA])


def test_a_stream_that_breaks_off_is_no_short_snapshot(double: HopsworksDouble, store: HopsworksLabelStore) -> None:
    double.faults.add(Fault("flight", "do_get", LoseReply(), times=None))
    with pytest.raises(ClusterError):
        list(store.snapshot([]))


def test_the_latest_label_of_a_history_counts_offline_and_online(
    double: HopsworksDouble, store: HopsworksLabelStore
) -> None:
    write(double, "block", NOON + 60_000, AB)
    double.labels.store.put_offline({pair_text(AC): {"label": "dismiss", "labelled_at": NOON - 60_000}})  # comes late
    found = {pair: label for rows in store.snapshot([]) for pair, label in zip(rows.pairs, rows.labels, strict=True)}
    assert found == {AB: "block", AC: "follow", BA: "follow"}
    assert store.read([AB]).labels == ["block"]


def test_a_view_over_another_version_is_refused(session: Session, store: HopsworksLabelStore) -> None:
    store.read([AB])
    weighted = LABELS.model_copy(update={"weight": "strength"})
    with pytest.raises(ContractError, match="feature view follows_retrainer, version 1, lacks strength"):
        HopsworksLabelStore(session, HopsworksStore(), weighted).read([AB])


def test_users_may_be_whole_numbers_in_either_column() -> None:
    kinds = {"user_id": "bigint", "other_user_id": "string", "label": "int", "labelled_at": "date"}
    columns = [SimpleNamespace(name=name, type=kind) for name, kind in kinds.items()]
    found = SimpleNamespace(primary_key=["other_user_id", "user_id"], columns=columns, event_time="labelled_at")
    assert differences(found, LABELS) == []
    keys = [pair_text(pair) for pair in (("7", "x"), ("x", "7"), ("07", "a"))]
    assert native_keys(found, LABELS, keys) == [{"user_id": 7, "other_user_id": "x"}]


def test_all_that_differs_from_the_contract_is_told_at_once() -> None:
    kinds = {"user_id": "string", "other_user_id": "double", "label": "array<double>", "labelled_at": "string"}
    columns = [SimpleNamespace(name=name, type=kind) for name, kind in kinds.items()]
    found = SimpleNamespace(primary_key=["user_id", "other_user_id"], columns=columns)
    said = "; ".join(differences(found, LABELS))
    assert "its primary key other_user_id is double, neither a string nor an integer" in said
    assert "column label is array<double>, not a string, a number or a boolean" in said
    assert "column labelled_at is string, not a timestamp, date or integer" in said
