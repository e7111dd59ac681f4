"""Arrow batches and lists as feature rows: in whatever shape the SDK brings them, the same numbers come out."""

from __future__ import annotations

import io
import json
import warnings
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.features import Column, FeatureGroup
from schemas.labels import LabelGroup, pair_text
from stores.feature_store import FeatureRows, Floats
from stores.features.checks import check_rows
from stores.hopsworks.rows import Rows, avro_decoders, from_batch, from_lists, joined, only
from stores.labels.hopsworks import moment

GROUP = FeatureGroup(name="g", primary_key="id", columns=(Column(name="v", length=3), Column(name="s", length=1)))
NAMES = ["id", "v", "s"]

number = st.none() | st.floats(width=32)
row = st.tuples(st.none() | st.lists(number, max_size=5), st.none() | st.lists(number, max_size=2))
table = st.lists(row, max_size=20)


def expected(values: list[float | None] | None) -> Floats | None:
    return None if values is None else np.array([np.nan if v is None else v for v in values], dtype=np.float32)


def assert_same(rows: Rows, keys: list[str], cells: list[tuple[Any, Any]]) -> None:
    assert rows.keys == keys
    for name, place in (("v", 0), ("s", 1)):
        for found, cell in zip(rows.columns[name], cells, strict=True):
            wanted = expected(cell[place])
            assert (found is None) == (wanted is None)
            if found is not None and wanted is not None:
                assert found.dtype == np.float32
                np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("array", [pa.list_, pa.large_list])
@pytest.mark.parametrize("item", [pa.float64(), pa.float32()])
@given(cells=table, cut=st.integers(0, 20))
def test_arrow_lists_come_out_as_they_went_in(array: Any, item: Any, cells: list[tuple[Any, Any]], cut: int) -> None:
    keys = [f"u{at}" for at in range(len(cells))]
    columns = [pa.array([cell[at] for cell in cells], array(item)) for at in (0, 1)]
    batch = pa.record_batch([pa.array(keys, pa.string()), *columns], names=NAMES)
    assert_same(from_batch(GROUP, batch), keys, cells)
    assert_same(from_batch(GROUP, batch.slice(cut)), keys[cut:], cells[cut:])  # whose buffers begin elsewhere


@pytest.mark.parametrize(
    "keys",
    [pa.array(["u1", None, "", "u2"]), pa.array([b"x", None, b"", b"y"]), pa.array([1.0, None, float("nan"), 2.0])],
)
def test_a_key_that_names_nobody_is_no_user_called_none(keys: Any) -> None:
    cells = [([float(at)] * 3, [float(at)]) for at in range(4)]
    columns = [pa.array([cell[at] for cell in cells], pa.list_(pa.float32())) for at in (0, 1)]
    named = [(0, "u1"), (3, "u2")] if pa.types.is_string(keys.type) else []
    batch = pa.record_batch([keys, *columns], names=NAMES)
    lists = [[key, *cell] for key, cell in zip(keys.to_pylist(), cells, strict=True)]
    for rows in (from_batch(GROUP, batch), from_batch(GROUP, batch.slice(0)), from_lists(GROUP, NAMES, lists)):
        assert_same(rows, [user for _, user in named], [cells[at] for at, _ in named])
        assert rows.keyless == 4 - len(named)
        assert joined(GROUP, [rows, rows]).keyless == 2 * rows.keyless
        assert only(rows, lambda _key: True).keyless == 0  # who asks for users by name does not ask for these


@given(cells=table)
def test_lists_come_out_as_they_went_in(cells: list[tuple[Any, Any]]) -> None:
    rows = [[s, f"u{at}", v] for at, (v, s) in enumerate(cells)]
    assert_same(from_lists(GROUP, ["s", "id", "v"], rows), [f"u{at}" for at in range(len(cells))], cells)


@given(cells=table)
def test_bytes_from_sql_are_decoded_by_the_schema(cells: list[tuple[Any, Any]]) -> None:
    array = ["null", {"type": "array", "items": ["null", "double"]}]
    fields = [{"name": "id", "type": ["null", "string"]}, {"name": "v", "type": array}, {"name": "s", "type": array}]
    record = json.dumps({"type": "record", "name": "g_1", "fields": fields})

    def encoded(values: Any) -> bytes | None:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(array), values)
        return None if values is None else out.getvalue()

    keys = [f"u{at}" for at in range(len(cells))]
    columns = [pa.array([encoded(cell[at]) for cell in cells], pa.binary()) for at in (0, 1)]
    batch = pa.record_batch([pa.array(keys, pa.string()), *columns], names=NAMES)
    assert_same(from_batch(GROUP, batch, avro_decoders(record)), keys, cells)


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int32(), pa.int64()])
def test_a_scalar_may_be_a_plain_column_and_a_key_a_whole_number(kind: Any) -> None:
    arrays = [pa.array([7, -3]), pa.array([[1.0] * 3, None], pa.list_(pa.float64())), pa.array([1984, None], kind)]
    rows = from_batch(GROUP, pa.record_batch(arrays, names=NAMES))
    assert_same(rows, ["7", "-3"], [([1.0] * 3, [1984]), (None, None)])
    assert_same(from_lists(GROUP, NAMES, [[7, [1.0] * 3, 1984]]), ["7"], [([1.0] * 3, [1984])])


def test_a_gap_inside_an_array_and_a_number_too_large_are_refused_by_the_check() -> None:
    lists = [[1.0, None, 3.0], [1e300, 2.0, 3.0], [1.0, 2.0, 3.0]]
    batch = pa.record_batch([pa.array(["gap", "big", "good"]), pa.array(lists), pa.array([1.0] * 3)], names=NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = [from_batch(GROUP, batch), from_lists(GROUP, NAMES, zip("abc", lists, (1, 1, 1), strict=True))]
    for rows, good in zip(parts, ("good", "c"), strict=True):
        checked = check_rows(GROUP, FeatureRows(rows.keys, rows.columns))
        assert checked.keys == [good]
        assert len(checked.refused) == 2


def test_parts_are_joined_and_chosen_by_key() -> None:
    parts = [from_lists(GROUP, NAMES, [[key, [0.0] * 3, 1]]) for key in ("a", "b", "c")]
    rows = only(joined(GROUP, parts), {"a", "c"}.__contains__)
    assert rows.keys == ["a", "c"]
    assert [len(blocks) for blocks in rows.columns.values()] == [2, 2]
    assert joined(GROUP, []) == Rows([], {"v": [], "s": []})


LABELS = LabelGroup(name="l", weight="strength")
PAIRS = st.tuples(st.none() | st.text(max_size=3), st.none() | st.text(max_size=3))


@given(st.lists(st.tuples(PAIRS, st.none() | st.sampled_from(["follow", "?"])), max_size=12))
def test_labels_are_named_by_both_users_and_come_as_they_are(labels: list[tuple[tuple[Any, Any], str | None]]) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    names = ["other_user_id", "strength", "user_id", "label", "labelled_at"]
    lists = [[other, 2.0, user, label, now] for (user, other), label in labels]
    kinds = [pa.string(), pa.float64(), pa.string(), pa.string(), pa.timestamp("us", tz="UTC")]
    columns = [pa.array([row[at] for row in lists], kind) for at, kind in enumerate(kinds)]
    kept = [(pair_text(pair), label) for pair, label in labels if pair[0] and pair[1]]
    for rows in (from_batch(LABELS, pa.record_batch(columns, names=names)), from_lists(LABELS, names, lists)):
        assert list(zip(rows.keys, rows.columns["label"], strict=True)) == kept
        assert rows.keyless == len(labels) - len(kept)
        assert [moment(value) for value in rows.columns["labelled_at"]] == [now.timestamp()] * len(kept)


def test_event_times_of_all_kinds_are_seconds() -> None:
    noon = datetime(2026, 1, 2, 12)  # noqa: DTZ001  (as the SDK gives them)
    at_noon = noon.replace(tzinfo=UTC).timestamp()
    assert moment(noon) == moment(int(at_noon)) == moment(int(at_noon * 1000)) == at_noon
    assert moment(noon.astimezone(timezone(timedelta(hours=5)))) == noon.astimezone(UTC).timestamp()
    assert moment(date(2026, 1, 2)) == at_noon - 43_200
    assert moment(None) is moment("yesterday") is moment(True) is None
