"""A node's copy of a user matrix: it holds what it was given, says what it lacks, and serves one mining at a time."""

from __future__ import annotations

import os
import tempfile
import time
from copy import copy as copy_of
from pathlib import Path

import numpy as np
import pytest

from trainer.distributed import copies
from trainer.distributed.errors import ClusterError
from trainer.distributed.node_copy import NodeCopy, NotReadyError, Portion, Shape, digests
from trainer.distributed.portions import portions
from trainer.pairs.bounds import Bounds, Projection
from trainer.pairs.view import View

ROWS, WIDTH = 300, 8


def view_of(seed: int, kept: int | None) -> View:
    rows = np.random.default_rng(seed).normal(size=(ROWS, WIDTH))
    directions = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    projection = Projection.whole(WIDTH) if kept is None else Projection(np.eye(WIDTH)[:, :kept])
    return View(directions, projection.bounds(projection.shorten(directions)), np.arange(ROWS)[::-1].copy())


def portion(view: View, rows: np.ndarray[tuple[int], np.dtype[np.int64]], shape: Shape) -> Portion:
    short = None if shape.short_width is None else view.bounds.short[rows]
    return Portion(rows, view.directions[rows], short)


def own(view: View, shape: Shape) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return digests(view.directions, None if shape.short_width is None else view.bounds.short)


@pytest.mark.parametrize("kept", [3, None])
def test_a_copy_lacks_what_differs_and_afterwards_nothing(tmp_path: Path, kept: int | None) -> None:
    view, shape = view_of(1, kept), Shape.of(view_of(1, kept))
    copy = NodeCopy(tmp_path / "copy", "n1")
    everybody = np.arange(ROWS)
    assert (copy.held(shape) != own(view, shape)).any(axis=1).all()
    copy.prepare(shape, view.order, iter([portion(view, everybody, shape)]), "first")
    assert (copy.held(shape) == own(view, shape)).all()
    found = copy.view("first")
    np.testing.assert_array_equal(found.directions, view.directions)
    np.testing.assert_array_equal(found.order, view.order)
    pairs = everybody[:-1], everybody[1:]
    np.testing.assert_array_equal(found.bounds.upper(*pairs), view.bounds.upper(*pairs))

    changed = view.directions.copy()
    changed[[3, 70]] = changed[[4, 71]]
    later = View(changed, Bounds.plain(changed) if kept is None else view_of_directions(changed, kept), view.order)
    lacking = np.flatnonzero((copy.held(shape) != own(later, shape)).any(axis=1))
    assert lacking.tolist() == [3, 70]
    copy.prepare(shape, later.order, iter([portion(later, lacking, shape)]), "second")
    np.testing.assert_array_equal(copy.view("second").directions, changed)


def view_of_directions(directions: np.ndarray[tuple[int, ...], np.dtype[np.float32]], kept: int) -> Bounds:
    projection = Projection(np.eye(WIDTH)[:, :kept])
    return projection.bounds(projection.shorten(directions))


def test_a_damaged_row_is_lacking(tmp_path: Path) -> None:
    view, shape = view_of(1, 3), Shape.of(view_of(1, 3))
    copy = NodeCopy(tmp_path / "copy", "n1")
    copy.prepare(shape, view.order, iter([portion(view, np.arange(ROWS), shape)]), "first")
    with (tmp_path / "copy" / "short.bin").open("r+b") as file:
        file.seek(5 * 4 * (3 + 1))
        file.write(b"\x01\x02\x03\x04")
    assert np.flatnonzero((copy.held(shape) != own(view, shape)).any(axis=1)).tolist() == [5]


def test_a_copy_serves_the_mining_that_it_was_made_for_and_no_other(tmp_path: Path) -> None:
    view, shape = view_of(1, None), Shape.of(view_of(1, None))
    copy = NodeCopy(tmp_path / "copy", "n1")
    with pytest.raises(NotReadyError, match="node n1 has no copy"):
        copy.view("first")
    copy.prepare(shape, view.order, iter([portion(view, np.arange(ROWS), shape)]), "first")
    copy.prepare(shape, view.order, iter([]), "second")
    with pytest.raises(NotReadyError) as refused:
        copy.view("first")
    again = copy_of(refused.value)  # by the way that pickle takes
    assert again.node == "n1"


def test_a_copy_that_is_being_written_serves_nobody(tmp_path: Path) -> None:
    view, shape = view_of(1, None), Shape.of(view_of(1, None))
    copy = NodeCopy(tmp_path / "copy", "n1")
    copy.prepare(shape, view.order, iter([portion(view, np.arange(ROWS), shape)]), "first")

    def cut_short() -> object:
        yield portion(view, np.arange(5), shape)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        copy.prepare(shape, view.order, cut_short(), "second")  # type: ignore[arg-type]
    for stamp in ("first", "second"):
        with pytest.raises(NotReadyError):
            copy.view(stamp)


def test_every_row_is_in_one_portion_and_none_is_too_large() -> None:
    view = view_of(1, 3)
    rows = np.arange(0, ROWS, 2)
    for processors in (1, 2, 7):
        found = portions(rows, view.bounds, processors)
        assert sorted(np.concatenate(found).tolist()) == rows.tolist()
    assert portions(rows[:0], view.bounds, 4) == []
    assert max(map(len, portions(np.arange(100_000), Bounds.plain(view.directions), 2))) <= 4096


def test_copies_that_nobody_has_used_for_a_week_go(tmp_path: Path) -> None:
    now = time.time()
    for name, age in {"node/old": 8 * 86_400, "node/new": 6 * 86_400}.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "lock").touch()
        os.utime(tmp_path / name / "lock", (now - age, now - age))
    (tmp_path / "node" / "another").mkdir()  # without a lock it is not ours to judge
    copies.forget_old_copies(tmp_path, now)
    assert sorted(path.name for path in (tmp_path / "node").iterdir()) == ["another", "new"]


def test_a_folder_that_others_may_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert copies._folder_of_copies().stat().st_mode & 0o077 == 0
    copies._folder_of_copies().chmod(0o755)
    with pytest.raises(ClusterError, match="remove it there"):
        copies._folder_of_copies()
