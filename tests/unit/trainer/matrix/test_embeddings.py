"""The user matrix: any history of upserts and deletes, with crashes between, ends where it should."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.feature_store import Floats
from trainer.matrix.embeddings import UserMatrix

WIDTH = 3


def rows_for(keys: list[str], mood: int) -> Floats:
    return np.array([[len(key), int(key[1:]), mood] for key in keys], dtype=np.float32).reshape(-1, WIDTH)


def as_it_is(raw: Floats) -> Floats:
    return raw


def contents(matrix: UserMatrix) -> dict[str, list[float]]:
    keys, rows = matrix.users()
    return {key: matrix.raw[row].tolist() for key, row in zip(keys, rows, strict=True)}


users = st.sampled_from([f"u{number}" for number in range(30)])
steps = st.tuples(st.lists(users, unique=True, max_size=20), st.lists(users, unique=True, max_size=10), st.booleans())


@given(st.lists(steps, max_size=8))
@settings(max_examples=60, deadline=None)
def test_the_matrix_holds_what_was_last_written(history: list[tuple[list[str], list[str], bool]]) -> None:
    with TemporaryDirectory() as folder:
        matrix = UserMatrix(Path(folder), WIDTH)
        expected: dict[str, list[float]] = {}
        for mood, (upserts, deletes, reopen) in enumerate(history):
            gone = [key for key in deletes if key not in upserts]
            raw = rows_for(upserts, mood)
            for _ in range(2):  # every step is safe to repeat
                matrix.apply(upserts, raw, as_it_is, gone)
            expected.update(zip(upserts, raw.tolist(), strict=True))
            for key in gone:
                expected.pop(key, None)
            if reopen:
                matrix.close()
                matrix = UserMatrix(Path(folder), WIDTH)
            assert contents(matrix) == expected
            assert len(matrix) == len(expected)
            _, rows = matrix.users()
            free = np.setdiff1d(np.arange(len(matrix.directions)), rows)
            assert not matrix.directions[free].any()
        matrix.close()


def test_rows_of_deleted_users_are_used_again(tmp_path: Path) -> None:
    matrix = UserMatrix(tmp_path, WIDTH)
    matrix.apply(["u1", "u2", "u3"], rows_for(["u1", "u2", "u3"], 0), as_it_is, [])
    freed = matrix.rows_of(["u2"])["u2"]
    matrix.apply([], rows_for([], 0), as_it_is, ["u2"])
    matrix.apply(["u4"], rows_for(["u4"], 0), as_it_is, [])
    assert matrix.rows_of(["u4"]) == {"u4": freed}


def test_it_grows_and_keeps_what_it_has(tmp_path: Path) -> None:
    matrix = UserMatrix(tmp_path, WIDTH)
    keys = [f"u{number}" for number in range(5000)]
    for start in range(0, 5000, 700):
        part = keys[start : start + 700]
        matrix.apply(part, rows_for(part, 1), as_it_is, [])
    assert contents(matrix) == dict(zip(keys, rows_for(keys, 1).tolist(), strict=True))


def test_touched_and_freed_rows_are_dirty_until_cleaned(tmp_path: Path) -> None:
    matrix = UserMatrix(tmp_path, WIDTH)
    matrix.apply(["u1", "u2"], rows_for(["u1", "u2"], 0), as_it_is, [])
    assert matrix.dirty().tolist() == [0, 1]
    matrix.clean()
    assert matrix.dirty().tolist() == []
    matrix.apply([], rows_for([], 0), as_it_is, ["u1", "unknown"])
    matrix.close()
    assert UserMatrix(tmp_path, WIDTH).dirty().tolist() == [0]


def test_a_crash_before_the_index_follows_leaves_the_rows_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = UserMatrix(tmp_path, WIDTH)
    matrix.apply(["u1"], rows_for(["u1"], 0), as_it_is, [])
    matrix.clean()
    monkeypatch.setattr(np.memmap, "flush", lambda _self: (_ for _ in ()).throw(OSError("power cut")))
    with pytest.raises(OSError, match="power cut"):
        matrix.apply(["u1", "u2"], rows_for(["u1", "u2"], 5), as_it_is, [])
    monkeypatch.undo()
    after = UserMatrix(tmp_path, WIDTH)
    assert after.users()[0] == ["u1"]
    assert after.dirty().tolist() == [0, 1]
