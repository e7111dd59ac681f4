"""Files in every format become the same rows of the store; what is unfit is refused; only changes are announced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from retrainer.importing.changes import Imported, bring
from retrainer.importing.edges import Labels, columns_of, seconds
from retrainer.importing.errors import ImportRefused
from retrainer.importing.layout import found_in, layout, proposal
from retrainer.importing.rows import Users
from retrainer.importing.sources import Block, source
from schemas.features import Column, FeatureGroup
from schemas.labels import LabelGroup
from stores.feature_store import Floats
from stores.features.local import LocalFeatureStore
from stores.labels.local import LocalLabelStore

GROUP = FeatureGroup(columns=(Column(name="taste", length=3), Column(name="year", length=1)))
TASTES = {"a": [1.0, 2.0, 3.0], "b": [0.5, 0.25, 0.125], "7": [0.0, 1.0, 0.0]}
YEARS = {"a": 1999.0, "b": 2004.5, "7": 1975.0}


def as_parquet(folder: Path, tastes: Mapping[str, Any], years: Mapping[str, Any]) -> Path:
    table = pa.table({"user_id": list(tastes), "taste": list(tastes.values()), "year": list(years.values())})
    parquet.write_table(table, folder / "users.parquet")
    return folder / "users.parquet"


def as_csv(folder: Path, tastes: Mapping[str, Any], years: Mapping[str, Any]) -> Path:
    numbered = {f"taste_{n}": [None if taste is None else taste[n] for taste in tastes.values()] for n in range(3)}
    csv.write_csv(pa.table({"user_id": list(tastes), **numbered, "year": list(years.values())}), folder / "users.csv")
    return folder / "users.csv"


def as_csv_of_lists(folder: Path, tastes: Mapping[str, Any], years: Mapping[str, Any]) -> Path:
    texts = [None if taste is None else json.dumps(taste) for taste in tastes.values()]
    table = pa.table({"user_id": list(tastes), "taste": texts, "year": list(years.values())})
    csv.write_csv(table, folder / "users.csv")
    return folder / "users.csv"


def as_json_lines(folder: Path, tastes: Mapping[str, Any], years: Mapping[str, Any]) -> Path:
    lines = [json.dumps({"user_id": user, "taste": tastes[user], "year": years[user]}) for user in tastes]
    (folder / "users.jsonl").write_text("\n".join(lines))
    return folder / "users.jsonl"


def as_npz(folder: Path, tastes: Mapping[str, Any], years: Mapping[str, Any]) -> Path:
    arrays: dict[str, Any] = {"taste": np.array(list(tastes.values())), "year": np.array(list(years.values()))}
    np.savez(folder / "users.npz", user_id=np.array(list(tastes)), **arrays)
    return folder / "users.npz"


Writer = Callable[[Path, Mapping[str, Any], Mapping[str, Any]], Path]
WRITERS = [as_parquet, as_csv, as_csv_of_lists, as_json_lines, as_npz]
WITH_NULLS = WRITERS[:-1]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalFeatureStore]:
    with closing(LocalFeatureStore(tmp_path / "store.db", GROUP)) as opened:
        yield opened


def imported(path: Path, store: LocalFeatureStore, **options: bool) -> Imported:
    file = source(path, ("user_id",))
    columns = layout(GROUP, found_in(next(file.blocks()), "user_id"), {})
    given_options = {"delete_missing": False, "dry_run": False, **options}
    return bring(file, Users(store, GROUP, "user_id", columns), committed=lambda _: None, **given_options)


def stored(store: LocalFeatureStore) -> dict[str, tuple[list[float], float]]:
    found: dict[str, tuple[list[float], float]] = {}
    for rows in store.snapshot():
        for at, user in enumerate(rows.keys):
            taste, year = rows.columns["taste"][at], rows.columns["year"][at]
            assert taste is not None
            assert year is not None
            found[user] = taste.tolist(), float(year[0])
    return found


def announced(store: LocalFeatureStore) -> list[str]:
    events = store.outbox()
    if events:
        store.published(events[-1].id)
    return sorted(event.key.decode() for event in events)


@pytest.mark.parametrize("written", WRITERS)
def test_every_format_becomes_the_same_rows(written: Writer, tmp_path: Path, store: LocalFeatureStore) -> None:
    found = imported(written(tmp_path, TASTES, YEARS), store)
    assert (found.rows, found.new, found.refused_rows) == (3, 3, 0)
    assert stored(store) == {user: (TASTES[user], YEARS[user]) for user in TASTES}
    assert announced(store) == ["7", "a", "b"]


@pytest.mark.parametrize("written", WRITERS)
def test_only_what_changed_is_announced(written: Writer, tmp_path: Path, store: LocalFeatureStore) -> None:
    imported(written(tmp_path, TASTES, YEARS), store)
    announced(store)
    again = imported(written(tmp_path, TASTES, {**YEARS, "b": 1.0}), store)
    assert (again.new, again.changed, again.unchanged) == (0, 1, 2)
    assert announced(store) == ["b"]


@pytest.mark.parametrize("written", WITH_NULLS)
def test_a_row_that_is_unfit_is_refused_and_the_stored_one_stays(
    written: Writer, tmp_path: Path, store: LocalFeatureStore
) -> None:
    imported(written(tmp_path, TASTES, YEARS), store)
    found = imported(written(tmp_path, {**TASTES, "b": None}, YEARS), store, delete_missing=True)
    assert [(row.number, row.key, row.reason) for row in found.refused] == [(2, "b", "taste is missing")]
    assert found.deleted == 0
    assert stored(store)["b"] == (TASTES["b"], YEARS["b"])


def test_numbers_that_are_not_finite_keys_that_name_nobody_and_wrong_lengths_are_refused(
    tmp_path: Path, store: LocalFeatureStore
) -> None:
    lines = [
        {"user_id": "a", "taste": [1, 2, 3], "year": 1},
        {"user_id": None, "taste": [1, 2, 3], "year": 1},
        {"user_id": "c", "taste": [1, 2], "year": 1},
        {"user_id": "d", "taste": [1, 2, 1e300], "year": 1},
        {"user_id": "e", "taste": "none", "year": 1},
        {"user_id": "f", "year": 1},
        {"user_id": 8, "taste": [1, 2, 3], "year": True},
    ]
    path = tmp_path / "users.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    found = imported(path, store)
    assert [row.number for row in found.refused] == [2, 3, 4, 5, 6, 7]
    assert [row.key for row in found.refused] == [None, "c", "d", "e", "f", "8"]
    assert found.refused[1].reason == "taste has 2 numbers, not 3"
    assert list(stored(store)) == ["a"]


def test_of_two_rows_of_a_user_the_later_one_counts(tmp_path: Path, store: LocalFeatureStore) -> None:
    path = tmp_path / "users.jsonl"
    rows = [{"user_id": "a", "taste": [n, 0, 0], "year": 1} for n in (1, 2)]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = imported(path, store)
    assert found.repeated == 1
    assert stored(store)["a"][0] == [2, 0, 0]


def test_users_that_the_file_does_not_name_are_deleted_where_that_is_asked_for(
    tmp_path: Path, store: LocalFeatureStore
) -> None:
    imported(as_parquet(tmp_path, TASTES, YEARS), store)
    announced(store)
    fewer = as_parquet(tmp_path, {"a": TASTES["a"]}, {"a": YEARS["a"]})
    assert imported(fewer, store).deleted == 0
    assert imported(fewer, store, delete_missing=True, dry_run=True).deleted == 2
    assert len(stored(store)) == 3
    assert imported(fewer, store, delete_missing=True).deleted == 2
    assert announced(store) == ["7", "b"]
    assert list(stored(store)) == ["a"]


def test_a_dry_run_writes_nothing_not_even_a_store(tmp_path: Path, store: LocalFeatureStore) -> None:
    found = imported(as_parquet(tmp_path, TASTES, YEARS), store, dry_run=True)
    assert (found.new, found.changed) == (3, 0)
    assert not (tmp_path / "store.db").exists()


def test_a_file_that_does_not_fit_proposes_settings_that_do(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_text(json.dumps({"id": 1, "likes_1": 0.1, "likes_2": 0.2, "age": 30, "name": "Ada", "v": [1, 2, 3]}))
    found = found_in(next(source(path, ("id",)).blocks()), "id")
    assert [(one.name, one.length) for one in found] == [("likes", 2), ("age", 1), ("v", 3)]
    with pytest.raises(ImportRefused, match="taste is missing; year is missing"):
        layout(GROUP, found, {})
    with pytest.raises(ImportRefused, match="v has 3 numbers, not 1"):
        layout(GROUP, found, {"taste": "v", "year": "v"})
    assert layout(GROUP, found, {"taste": "v", "year": "age"}) == {"taste": ("v",), "year": ("age",)}
    assert 'primary_key = "id"' in proposal(found, "id")
    assert '{ name = "likes", length = 2 }' in proposal(found, "id")
    with pytest.raises(ImportRefused, match=r"no column 'user_id'.*--key.*id, likes_1"):
        found_in(next(source(path, ("id",)).blocks()), "user_id")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("users.txt", b"", "ends in one of .parquet, .csv"),
        ("users.parquet", b"no parquet", "cannot be read"),
        ("users.npz", b"no npz", "cannot be read"),
        ("users.jsonl", b"{}\n{", "line 2 is no JSON"),
        ("users.jsonl", b"[1]", "line 1 is no JSON object"),
        ("users.jsonl", b"\xff\xfe", "not text in UTF-8"),
        ("users.csv", b"user_id,taste\na,1\nb,1,2\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImportRefused, match=said):
        list(source(path, ("user_id",)).blocks())
    with pytest.raises(ImportRefused, match="there is no file"):
        source(tmp_path / "elsewhere.csv", ("user_id",))


@given(st.integers(2, 12), st.sampled_from([0, 1]), st.sampled_from(["taste_", "taste", "x.", "likes-"]))
def test_numbered_columns_are_one_vector_in_the_order_of_their_numbers(many: int, start: int, name: str) -> None:
    columns: dict[str, list[Any]] = {f"{name}{n}": [float(n)] for n in reversed(range(start, start + many))}
    found = found_in(Block(0, {"user_id": ["a"], **columns}), "user_id")
    assert [one.length for one in found] == [many]
    assert found[0].columns == tuple(f"{name}{n}" for n in range(start, start + many))


def test_labels_of_a_file_are_imported_once(tmp_path: Path) -> None:
    group = LabelGroup()
    path = tmp_path / "edges.csv"
    path.write_text(
        "user_id,other_user_id,label,labelled_at\n1,2,follow,2026-01-01\n2,3,maybe,5\n1,3,block,1700000000\n,3,follow,1\n"
    )
    file = source(path, ("user_id", "other_user_id"))
    columns = columns_of(next(file.blocks()), group, {})
    options: dict[str, Any] = {"delete_missing": True, "dry_run": False, "committed": lambda _: None}
    with closing(LocalLabelStore(tmp_path / "store.db", group)) as store:
        found = bring(file, Labels(store, group, columns, 9.0), **options)
        assert (found.rows, found.new, found.refused_rows) == (4, 2, 2)
        assert [row.number for row in found.refused] == [2, 4]
        kept = {pair: (label, at) for rows in store.snapshot() for pair, label, at in _said(rows)}
        assert kept == {("1", "2"): ("follow", seconds("2026-01-01")), ("1", "3"): ("block", 1.7e9)}
        again = bring(file, Labels(store, group, columns, 10.0), **options)
        assert (again.new, again.changed, again.unchanged) == (0, 0, 2)


def test_edges_without_a_label_say_similar_and_keep_their_time(tmp_path: Path) -> None:
    group = LabelGroup()
    path = tmp_path / "edges.jsonl"
    path.write_text('{"follower": "a", "other_user_id": "b"}\n')
    file = source(path, ())
    with pytest.raises(ImportRefused, match="lacks user_id; it has follower, other_user_id"):
        columns_of(next(file.blocks()), group, {})
    columns = columns_of(next(file.blocks()), group, {"user_id": "follower"})
    options: dict[str, Any] = {"delete_missing": False, "dry_run": False, "committed": lambda _: None}
    with closing(LocalLabelStore(tmp_path / "store.db", group)) as store:
        bring(file, Labels(store, group, columns, 9.0), **options)
        again = bring(file, Labels(store, group, columns, 10.0), **options)
        assert again.unchanged == 1
        assert [list(_said(rows)) for rows in store.snapshot()] == [[(("a", "b"), 1, 9.0)]]


def _said(rows: Any) -> Iterator[tuple[tuple[str, str], object, float | None]]:
    yield from zip(rows.pairs, rows.labels, rows.times, strict=True)


def test_float_rows_survive_as_they_are(tmp_path: Path, store: LocalFeatureStore) -> None:
    exact: Floats = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    table = pa.table({"user_id": ["a"], "taste": pa.FixedSizeListArray.from_arrays(exact, 3), "year": [1]})
    parquet.write_table(table, tmp_path / "users.parquet")
    imported(tmp_path / "users.parquet", store)
    assert stored(store)["a"][0] == exact.tolist()
