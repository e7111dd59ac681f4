"""The parts of the double that can be wrong without any test of the SDK noticing."""

from __future__ import annotations

import io
from functools import partial
from typing import Any, Literal

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hopsworks_double import Drop, Fault, LoseReply, Stall, Status
from tests.hopsworks_double.addresses import Address
from tests.hopsworks_double.faults import Faults
from tests.hopsworks_double.online.sql import parse
from tests.hopsworks_double.registry.file_system import multipart
from tests.hopsworks_double.rows.avro import RowCodec
from tests.hopsworks_double.rows.conditions import Both, Condition, Either, OneOf, UnsupportedError
from tests.hopsworks_double.rows.tables import FeatureTables
from tests.worlds import GROUP, World, names

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
conditions: st.SearchStrategy[Condition] = st.recursive(
    st.frozensets(texts, min_size=1, max_size=4).map(partial(OneOf, "who")),
    lambda inner: st.builds(Both, inner, inner) | st.builds(Either, inner, inner),
    max_leaves=5,
)


def test_an_address_is_taken_until_it_is_released() -> None:
    one, other = Address(), Address()
    assert one.host != other.host
    one.release()
    one.claim()
    with pytest.raises(RuntimeError, match=other.host):
        _claim_again(other.host)


def _claim_again(host: str) -> None:
    address = Address()
    address.release()
    address.host = host
    address.claim()


@given(conditions)
def test_a_condition_means_the_same_in_sql(condition: Condition) -> None:
    select = parse(f"SELECT `t`.`a` `x`, b AS `y`\nFROM `d`.`t_1` AS `t`\nWHERE {condition.sql('`t`')}", ["who"])
    assert select.condition is not None
    assert (select.condition.keys, select.table) == (condition.keys, "t_1")
    assert select.columns == [("a", "x"), ("b", "y")]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE t",
        "SELECT a FROM t WHERE a = 'x'",
        "SELECT a FROM t WHERE who IN ()",
        "SELECT a FROM t WHERE who = 'x' x",
        "SELECT a FROM t WHERE who =",
        "SELECT a FROM t WHERE who = 'x",
    ],
)
def test_other_sql_is_refused(sql: str) -> None:
    with pytest.raises(UnsupportedError):
        parse(sql, ["who"])


def test_sql_of_a_prepared_statement_is_understood() -> None:
    select = parse("SELECT `t`.`a` AS `a` FROM `t_1` AS `t` WHERE `t`.`who` IN (('u\\'1'),('u2')) LIMIT 1;", ["who"])
    assert select.condition == OneOf("who", frozenset(["u'1", "u2"]))
    assert select.limit == 1


@pytest.mark.parametrize("element", ["double", "float"])
@given(st.none() | st.lists(st.floats(width=32), max_size=300))
def test_a_cell_is_what_avro_writes(element: Literal["double", "float"], values: list[float] | None) -> None:
    codec = RowCodec(GROUP, element, "db")
    written = io.BytesIO()
    schema = fastavro.parse_schema(codec.schema["fields"][1]["type"])
    fastavro.schemaless_writer(written, schema, values)
    dtype: Any = np.float64 if element == "double" else np.float32
    cell = codec.cell(None if values is None else np.array(values, dtype))
    assert (cell if cell is not None else b"\0") == written.getvalue()
    np.testing.assert_array_equal(codec.values(cell) or [], values or [])


def test_a_message_is_read_as_it_was_written() -> None:
    codec, tables = RowCodec(GROUP, "float", "db"), FeatureTables(GROUP, "float")
    tables.put({"u1": {"taste": [1, 2], "year": 3}})
    (key, stored), *_ = tables.online_rows()
    assert codec.row(codec.message(key, stored)) == ("u1", {"taste": [1.0, 2.0], "habit": None, "year": [3.0]})
    assert codec.row(codec.message(key, None)) == ("u1", {"taste": None, "habit": None, "year": None})


def test_rows_do_not_change_with_the_arrays_they_came_from() -> None:
    tables = FeatureTables(GROUP, "float")
    rows = World().rows(["u1"])
    tables.put(rows)
    kept = tables.online["u1"]["taste"]
    rows["u1"]["taste"][:] = 0
    assert tables.online["u1"]["taste"] == kept != [0.0] * 8


def test_an_unknown_column_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="tast"):
        FeatureTables(GROUP).put({"u1": {"tast": [1.0]}})


def test_a_table_is_looked_at_as_it_is_now() -> None:
    tables = FeatureTables(GROUP)
    online = tables.online
    tables.put(World().rows(names(3)), ["u1"])
    assert set(online) == {"u0", "u2"}
    assert "u1" not in online


def test_a_fault_skips_strikes_and_is_spent() -> None:
    faults = Faults()
    fault = faults.add(Fault("rest", "POST", Drop(), times=2, skip=1))
    other = faults.add(Fault("rest", ".", LoseReply(), times=None))
    struck = [faults.strike("rest", "POST /x") for _ in range(4)]
    assert struck == [LoseReply(), Drop(), Drop(), LoseReply()]
    assert faults.strike("control", "POST /x") is None
    assert (fault.hits, other.hits) == (2, 2)
    faults.clear()
    assert faults.strike("rest", "POST /x") is None


def test_a_short_stall_ends_by_itself() -> None:
    faults = Faults()
    faults.add(Fault("mysql", "", Stall(0.01)))
    assert faults.strike("mysql", "SELECT 1") is None


def test_a_fault_with_a_wrong_pattern_is_refused_at_once() -> None:
    with pytest.raises(Exception, match="unterminated"):
        Faults().add(Fault("rest", "(", Status(500)))


@given(st.binary(max_size=200))
def test_a_file_comes_out_of_a_form_as_it_went_in(content: bytes) -> None:
    body = b'--frontier\r\nContent-Disposition: form-data; name="flowFilename"\r\n\r\na b.bin\r\n'
    body += b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + content
    form = multipart(body + b"\r\n--frontier--\r\n", "multipart/form-data; boundary=frontier")
    assert form == {"flowFilename": b"a b.bin", "file": content}


def test_an_upsert_merges_on_key_event_time_and_partition() -> None:
    row = dict(World().row())
    plain, history = FeatureTables(GROUP), FeatureTables(GROUP, "double", "at", "country")
    for table in (plain, history):
        table.put({"u1": row, "u2": row})
        table.put({"u1": row}, ["u2"])
    assert [key for key, _ in plain.offline_rows()] == ["u1"]
    assert [key for key, _ in history.offline_rows()] == ["u1", "u1"]
    assert [(one.inserted, one.updated, one.deleted) for one in plain.commits] == [(2, 0, 0), (0, 1, 1)]
    assert [(one.inserted, one.updated, one.deleted) for one in history.commits] == [(2, 0, 0), (1, 0, 1)]
    table = FeatureTables(GROUP, "double", "at", "country")
    for year, at, country in ((1.0, 5, "se"), (2.0, 5, "se"), (3.0, 4, "se"), (4.0, 5, "de"), (5.0, None, None)):
        table.put({"u1": {**row, "year": year, "at": at, "country": country}})
    assert [stored["year"].tolist() for _, stored in table.offline_rows(["u1"]) if stored["year"] is not None] == [
        [2.0],
        [3.0],
        [4.0],
        [5.0],
    ]
    assert table.offline["u1"]["year"] == [2.0]
    assert table.online["u1"]["year"] == [4.0]  # one row a key, and what is older does not replace it
