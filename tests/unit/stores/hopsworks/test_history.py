"""Which row of an offline table with history is a user's: the latest, in whatever order and batches they come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.errors import ContractError
from stores.hopsworks.history import Latest, Once, age_columns, ages, until

MOMENTS = [datetime(1900, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 28, tzinfo=UTC)]
LATER = MOMENTS[-1] + timedelta(microseconds=1)


def group(event_time: str | None, partitions: list[str]) -> Any:
    columns = [SimpleNamespace(name=name) for name in ("id", "at", "country")]
    return SimpleNamespace(event_time=event_time, partition_key=partitions, columns=columns)


def test_the_event_time_comes_first_and_a_partition_only_tells_equal_ones_apart() -> None:
    assert age_columns(group("at", ["country", "derived"])) == ["at", "country"]
    assert age_columns(group("at", ["at"])) == ["at"]
    assert age_columns(group(None, ["country"])) == []


@pytest.mark.parametrize(
    "times",
    [
        pa.array([None, *MOMENTS, LATER], pa.timestamp("us")),
        pa.array([None, *MOMENTS, LATER], pa.timestamp("ns", "Europe/Stockholm")),
        pa.array([None, *MOMENTS], pa.timestamp("ms")),
        pa.array([None, *(one.date() for one in MOMENTS), date(2027, 1, 1)], pa.date32()),
        pa.array([None, *(one.date() for one in MOMENTS)], pa.date64()),
        pa.array([None, -(2**62), -1, 0, 1, 255, 256, 2**62], pa.int64()),
        pa.array([None, -5, 7], pa.int32()),
    ],
    ids=str,
)
def test_a_later_time_is_a_greater_age_and_null_is_the_oldest(times: Any) -> None:
    batch = pa.record_batch([times], names=["at"])
    assert all(before < after for before, after in pairwise(ages(batch, ["at"])))
    assert ages(batch.slice(1), ["at"]) == ages(batch, ["at"])[1:]
    assert ages(batch.slice(0, 0), ["at"]) == []


@pytest.mark.parametrize(
    "times",
    [
        pa.array([None, *MOMENTS, LATER], pa.timestamp("us")),
        pa.array([None, *MOMENTS, LATER], pa.timestamp("ns", "Europe/Stockholm")),
        pa.array([None, *(one.date() for one in MOMENTS), date(2027, 1, 1)], pa.date32()),
        pa.array([None, *(int(one.timestamp()) for one in MOMENTS), int(LATER.timestamp()) + 1], pa.int64()),
        pa.array([None, *(int(one.timestamp() * 1000) for one in MOMENTS[1:]), 2 * 10**12, 2 * 10**12], pa.int64()),
    ],
    ids=str,
)
def test_what_came_later_than_a_moment_does_not_count(times: Any) -> None:
    batch = pa.record_batch([times, pa.array(range(5))], names=["at", "number"])
    whole = until(batch, "at", LATER + timedelta(days=365 * 30))
    assert whole.column("number").to_pylist() == [0, 1, 2, 3, 4]
    kept = until(batch, "at", MOMENTS[2]).column("number").to_pylist()
    assert kept == ([0, 1, 2] if times.type == pa.int64() and times[3].as_py() == 2 * 10**12 else [0, 1, 2, 3])


def test_of_equal_times_the_greater_partition_is_later() -> None:
    names = ["at", "country"]
    batch = pa.record_batch([pa.array([5, 5, 5, 6, None]), pa.array([None, "de", "se", None, "zz"])], names=names)
    found = ages(batch, names)
    assert sorted(range(5), key=found.__getitem__) == [4, 0, 1, 2, 3]


@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(-3, 3)), max_size=30),
    cuts=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    order=st.randoms(),
)
def test_each_user_is_taken_once_at_his_latest_time(
    rows: list[tuple[str, int | None]], cuts: tuple[int, int], order: Any
) -> None:
    latest, taken = Latest(), []
    for size, passes in zip(cuts, ("note", "take"), strict=True):
        order.shuffle(rows)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            batch = pa.record_batch([pa.array([time for _, time in part], pa.int64())], names=["at"])
            keys, found = [key for key, _ in part], ages(batch, ["at"])
            if passes == "note":
                latest.note(keys, found)
            else:
                taken += [row for row, age in zip(part, found, strict=True) if latest.take(row[0], age)]
    oldest_first = sorted(rows, key=lambda row: (row[1] is not None, row[1] or 0))
    assert sorted(taken) == sorted(dict(oldest_first).items())
    assert latest.left() == []


def test_whose_row_has_gone_between_the_passes_is_named() -> None:
    latest = Latest()
    latest.note(["a", "b"], [b"1", b"2"])
    assert not latest.take("b", b"1")
    assert not latest.take("new", b"3")
    assert latest.take("a", b"1")
    assert latest.left() == ["b"]


@pytest.mark.parametrize(
    ("partitions", "said"), [(["day"], r"'u1' \(its partitions are by day\)"), ([], "'u1', and no")]
)
def test_several_rows_without_an_event_time_are_refused_in_words(partitions: list[str], said: str) -> None:
    once = Once("listeners", partitions)
    assert once("u1")
    assert once("u2")
    with pytest.raises(ContractError, match=f"listeners has several rows of {said}"):
        once("u1")
