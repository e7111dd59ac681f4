"""What a whole store says is believed only if it can be the group that is configured: whoever is absent is deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.errors import ContractError
from stores.feature_store import FeatureRows
from stores.features.reading import absent, read_all, read_report, read_users
from stores.keys import user_key
from tests.worlds import GROUP, Row, World, names


class MemoryStore:
    """A store whose users lie in memory, in batches of three; `read_batches` counts those of snapshots."""

    def __init__(self, users: Mapping[str, Row], keyless: int = 0) -> None:
        self._users = users
        self._keyless = keyless
        self.read_batches = 0

    def check_contract(self) -> None:
        pass

    def snapshot(self, changed: Collection[str]) -> Iterator[FeatureRows]:  # noqa: ARG002
        everybody = list(self._users)
        for start in range(0, max(len(everybody), 1), 3):
            self.read_batches += 1
            yield self.read(everybody[start : start + 3])

    def read(self, keys: Sequence[str]) -> FeatureRows:
        found = [key for key in keys if key in self._users]
        columns = {one.name: [self._users[key][one.name] for key in found] for one in GROUP.columns}
        return FeatureRows(found, {name: list(blocks) for name, blocks in columns.items()}, self._keyless)

    def count(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def nothing(_read: int) -> None:
    """Nobody listens."""


def short(row: Row) -> Row:
    return {**row, "taste": row["taste"][:4]}


def not_finite(row: Row) -> Row:
    return {**row, "taste": np.full_like(row["taste"], np.nan)}


def test_a_store_that_holds_nobody_is_an_error_however_it_is_asked() -> None:
    asks: list[Callable[[MemoryStore], object]] = [
        lambda store: read_all(store, GROUP, (), nothing),
        lambda store: read_users(store, GROUP, ["u1"], nothing),
    ]
    for ask in asks:
        with pytest.raises(ContractError, match=r"listeners, version 1, holds no users: .*RETRAINER_FEATURE_GROUP__"):
            ask(MemoryStore({}))
        with pytest.raises(ContractError, match=r"holds no users but [1-9] rows without a user id"):
            ask(MemoryStore({}, keyless=2))


def test_who_is_absent_of_a_store_that_holds_others_is_deleted() -> None:
    store = MemoryStore(World().rows(names(30)))
    rows = read_users(store, GROUP, ["gone", "too"], nothing)
    assert absent(["gone", "too"], rows) == ["gone", "too"]
    assert store.read_batches == 1  # one who can be learned is enough
    assert read_users(store, GROUP, [], nothing).keys == []


def test_a_store_of_another_length_says_column_found_and_configured() -> None:
    users = World().rows(names(40))
    store = MemoryStore({key: row if key == "u7" else short(row) for key, row in users.items()})
    said = "listeners, version 1, has 4 numbers in taste of 39 of 40 users, not 8: set RETRAINER_FEATURE_GROUP__COLUMNS"
    with pytest.raises(ContractError, match=said):
        read_all(store, GROUP, (), nothing)
    rows = read_users(store, GROUP, ["u7", "u8"], nothing)
    assert (rows.keys, list(rows.refused)) == (["u7"], ["u8"])
    with pytest.raises(ContractError, match="has 4 numbers in taste of 40 of 40"):
        read_users(MemoryStore({key: short(row) for key, row in users.items()}), GROUP, ["u8"], nothing)


def test_a_few_rows_of_another_length_are_refused_one_by_one() -> None:
    users = World().rows(names(40))
    store = MemoryStore({key: short(row) if key in names(30) else row for key, row in users.items()})
    assert len(read_all(store, GROUP, (), nothing).refused) == 30


def test_a_store_that_has_refused_everybody_is_an_error_with_the_reason() -> None:
    users = World().rows(names(40))
    spoilt = {key: {**row, "habit": row["habit"][:1]} if key == "u1" else not_finite(row) for key, row in users.items()}
    said = "all 40 users are refused, 39 of them as taste has a number that is not finite"
    with pytest.raises(ContractError, match=said):
        read_all(MemoryStore(spoilt), GROUP, (), nothing)
    with pytest.raises(ContractError, match=said):
        read_users(MemoryStore(spoilt), GROUP, ["u1", "u2"], nothing)
    mended = MemoryStore({**spoilt, "u39": users["u39"]})
    assert list(read_users(mended, GROUP, ["u1", "u2"], nothing).refused) == ["u1", "u2"]


def test_rows_without_a_key_are_counted() -> None:
    rows = read_all(MemoryStore(World().rows(names(5)), keyless=2), GROUP, (), nothing)
    report = read_report(rows, deleted=0)
    assert (report.accepted, report.refused_total, report.keyless) == (5, 0, 4)  # two batches


@pytest.mark.parametrize(
    ("value", "user"), [("u1", "u1"), (7, "7"), (np.int64(-3), "-3"), ("None", "None"), ("7.0", "7.0")]
)
def test_texts_and_whole_numbers_name_users(value: object, user: str) -> None:
    assert user_key(value) == user


@given(st.none() | st.binary() | st.floats() | st.booleans() | st.just("") | st.lists(st.text(), max_size=2))
def test_nothing_else_names_a_user(value: object) -> None:
    assert user_key(value) is None
