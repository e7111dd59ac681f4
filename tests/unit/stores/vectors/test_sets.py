"""A folder of sets: whole or not at all, one that counts, nobody in it who was removed; and what a server reads."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.jobs.vectors import CURRENT_FILE, Tower, current_set, holds_removed
from stores.errors import StoreError
from stores.vectors.changes import Earlier
from stores.vectors.numpy_file import NumpyFile, NumpyWriter
from stores.vectors.parquet import ParquetFile, VectorsDamaged
from stores.vectors.reader import NoVectors, Query, VectorSet, holds
from stores.vectors.sets import SetFiles, SetWriter, only_writer, sets_in
from stores.vectors.single import SingleWriter
from stores.vectors.together import VectorsApart
from tests.unit.stores.vectors.made import DIMENSION, block, fill, publish, stamp

ROWS = {f"u{number}": number for number in range(10)}
by_user = st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), st.integers(0, 5))


def names(out: Path) -> list[str]:
    return [path.name.split("-")[1] for path in sets_in(out)]


def test_a_set_is_switched_to_and_the_one_before_stays_for_a_while(tmp_path: Path) -> None:
    for version in (1, 2, 10):
        made = publish(tmp_path, version, ROWS, at=version)
        found = VectorSet.open(tmp_path)
        assert found.stamp == made
        assert found.users == sorted(ROWS)
        np.testing.assert_array_equal(found.queries, block(ROWS).vectors[Tower.QUERY])
        np.testing.assert_array_equal(found.candidates, block(ROWS).vectors[Tower.CANDIDATE])
    assert names(tmp_path) == ["2", "10"]
    assert sorted(path.name for path in found.folder.iterdir()) == [
        "candidates.parquet",
        "queries.parquet",
        "stamp.json",
    ]


@pytest.mark.parametrize("removed", [1, None])
def test_nobody_who_was_removed_is_in_any_published_file(tmp_path: Path, removed: int | None) -> None:
    publish(tmp_path, 1, ROWS, at=1)
    old = VectorSet.open(tmp_path)
    opened = SetFiles(old.folder)
    publish(tmp_path, 1, {user: row for user, row in ROWS.items() if user != "u3"}, removed=removed, at=2)
    assert names(tmp_path) == ["1"]
    assert holds(tmp_path, "u3") is False
    assert holds(tmp_path, "u4") is True
    assert old.outdated()
    assert not VectorSet.open(tmp_path).outdated()
    with closing(opened):  # a server that had it open finishes with it
        assert sum(len(part.users) for part in opened.blocks()) == len(ROWS)


def test_a_writer_that_is_killed_before_it_tidies_up_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, 1, ROWS, at=1)
    assert not holds_removed(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("stores.vectors.sets._tidy", lambda _out: None)
        publish(tmp_path, 1, {"u1": 1}, removed=9, at=2)
    assert holds_removed(tmp_path)
    assert holds(tmp_path, "u3") is True  # the truth
    publish(tmp_path, 1, {"u1": 1}, at=3)  # tidies up before and after
    assert not holds_removed(tmp_path)
    assert holds(tmp_path, "u3") is False


def test_who_is_only_in_the_set_before_is_held_all_the_same(tmp_path: Path) -> None:
    publish(tmp_path, 1, {**ROWS, "v": 1}, at=1)
    publish(tmp_path, 1, ROWS, at=2)  # it says that nobody was removed
    assert holds(tmp_path, "v") is True


def test_nobody_can_tell_without_a_set(tmp_path: Path) -> None:
    assert holds(tmp_path, "u1") is None
    assert holds(tmp_path / "nowhere", "u1") is None
    publish(tmp_path, 1, ROWS)
    folder = current_set(tmp_path)
    assert folder is not None
    (folder / "queries.parquet").write_bytes(b"PAR1")
    assert holds(tmp_path, "u1") is True  # the other file says so
    assert holds(tmp_path, "v") is None


def test_what_a_killed_writer_leaves_does_not_count_and_goes(tmp_path: Path) -> None:
    publish(tmp_path, 1, ROWS, at=1)
    (tmp_path / ".partial-77").mkdir()
    orphan = tmp_path / "set-2-20260601T000000000000"  # killed before it switched
    orphan.mkdir()
    assert VectorSet.open(tmp_path).stamp.origin.version == 1
    with only_writer(tmp_path):
        assert not orphan.exists()
        assert not (tmp_path / ".partial-77").exists()
        with pytest.raises(StoreError, match="another process writes vectors"), only_writer(tmp_path):
            pass
        writer = SetWriter(tmp_path, tuple(Tower), DIMENSION)
        writer.add(block(ROWS))
        writer.drop()
    assert names(tmp_path) == ["1"]


def test_a_pointer_to_nowhere_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(NoVectors, match="retrainer vectors --out"):
        VectorSet.open(tmp_path)
    for text in ("{", "[]", '{"set": 3}', '{"set": "../else"}', '{"set": "set-gone"}'):
        (tmp_path / CURRENT_FILE).write_text(text)
        with pytest.raises(NoVectors):
            VectorSet.open(tmp_path)


def test_a_reader_that_comes_between_two_sets_takes_the_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, 1, ROWS, at=1)
    looks: list[Path | None] = []

    def late(out: Path) -> Path | None:
        looks.append(current_set(out))
        if len(looks) == 1:
            publish(tmp_path, 2, ROWS, removed=1, at=2)
        return looks[-1]

    monkeypatch.setattr("stores.vectors.reader.current_set", late)
    assert VectorSet.open(tmp_path).stamp.origin.version == 2
    assert len(looks) == 2


def test_files_of_two_sets_are_not_read_as_one(tmp_path: Path) -> None:
    publish(tmp_path, 1, ROWS, at=1)
    publish(tmp_path, 2, ROWS, at=2)
    one, other = sets_in(tmp_path)
    (one / "candidates.parquet").replace(other / "candidates.parquet")
    with pytest.raises(VectorsDamaged, match="not of one set"):
        VectorSet.open(tmp_path)


def test_a_query_meets_its_own_version_alone(tmp_path: Path) -> None:
    publish(tmp_path, 1, ROWS, at=1)
    before = VectorSet.open(tmp_path)
    publish(tmp_path, 2, ROWS, at=2)
    found = VectorSet.open(tmp_path)
    assert len(found.nearest(found.query("u3"), 4).users) == 4
    assert found.nearest(found.query("u3"), 99).meeting.summary == "queries and candidates of m, version 2"
    with pytest.raises(VectorsApart):
        found.nearest(before.query("u3"), 4)
    with pytest.raises(NoVectors, match="no query vector of user 'nobody'"):
        found.query("nobody")
    compatible = before.stamp.origin.model_copy(update={"index_compatible_with": 2})
    assert not found.nearest(Query(before.queries[0], compatible), 4).meeting.same


def test_one_tower_takes_half_the_memory(tmp_path: Path) -> None:
    publish(tmp_path, 1, ROWS)
    found = VectorSet.open(tmp_path, (Tower.CANDIDATE,))
    assert (len(found.queries), len(found.candidates)) == (0, len(ROWS))
    with pytest.raises(NoVectors):
        found.query("u1")


@pytest.mark.parametrize("name", ["some.parquet", "some.npz"])
def test_what_is_no_file_of_ours_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for content in (b"", b"PAR1", b"PK\5\6" + b"\0" * 18):
        path.write_bytes(content)
        with pytest.raises(VectorsDamaged, match="no file of vectors"):
            ParquetFile(path) if name == "some.parquet" else NumpyFile(path)


@pytest.mark.parametrize("name", ["some.parquet", "some.npz"])
@given(rows=by_user)
@settings(deadline=None, max_examples=40)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, name: str, rows: dict[str, int]) -> None:
    path = tmp_path_factory.mktemp("file") / name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stores.vectors.numpy_file.BLOCK", 3)
        writer = (SingleWriter if name == "some.parquet" else NumpyWriter)(path, tuple(Tower), DIMENSION)
        fill(writer, rows)
        writer.finish(made := stamp(1, len(rows)))
        with closing(ParquetFile(path) if name == "some.parquet" else NumpyFile(path)) as file:
            parts = list(file.blocks())
            assert file.stamp == made
    users = [user for part in parts for user in part.users]
    assert users == sorted(rows)
    assert [path.name] == [one.name for one in path.parent.iterdir()]
    if users:
        whole = block(rows)
        for tower in Tower:
            np.testing.assert_array_equal(np.concatenate([one.vectors[tower] for one in parts]), whole.vectors[tower])
        np.testing.assert_array_equal(np.concatenate([one.hashes for one in parts]), whole.hashes)


@given(before=by_user, after=by_user, first=st.integers(1, 4), second=st.integers(1, 4), usable=st.booleans())
@settings(deadline=None)
def test_changes_are_what_differs(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, int],
    after: dict[str, int],
    first: int,
    second: int,
    usable: bool,
) -> None:
    path = tmp_path_factory.mktemp("file") / "some.parquet"
    writer = SingleWriter(path, tuple(Tower), DIMENSION)
    fill(writer, before, first)
    writer.finish(stamp(1, len(before)))
    kept: set[str] = set()
    with closing(ParquetFile(path)) as file:
        earlier = Earlier(file, usable=usable)
        users = sorted(after)
        for at in range(0, len(users), second):
            part = block({user: after[user] for user in users[at : at + second]})
            into = {tower: np.full_like(vectors, 7.0) for tower, vectors in part.vectors.items()}
            same = earlier.unchanged(part.users, part.hashes, into)
            kept |= {user for user, well in zip(part.users, same.tolist(), strict=True) if well}
            for tower, vectors in into.items():
                np.testing.assert_array_equal(vectors[same], part.vectors[tower][same])
                assert (vectors[~same] == 7.0).all()
        earlier.rest()
    assert kept == ({user for user, row in after.items() if before.get(user) == row} if usable else set())
    assert earlier.removed == len(before.keys() - after.keys())


def test_the_stamp_stands_in_every_file(tmp_path: Path) -> None:
    made = publish(tmp_path, 1, ROWS)
    folder = current_set(tmp_path)
    assert folder is not None
    assert json.loads((folder / "stamp.json").read_text()) == made.model_dump(mode="json")
    for tower in Tower:
        with closing(ParquetFile(folder / tower.file)) as file:
            assert (file.stamp, len(file)) == (made, len(ROWS))
