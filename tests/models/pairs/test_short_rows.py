"""The bounds of a space on disk: kept current, and recreated where anything is amiss."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from tests.models.pairs.test_graph import WIDTH, bounds_of, low_rank, random_axes, rows_of
from trainer.pairs import short_rows
from trainer.pairs.bounds import Bounds, Projection
from trainer.pairs.precision import Precision
from trainer.pairs.short_rows import ShortRows

POLICY = PairPolicy(similarity_threshold=0.9, max_positives_per_user=5)
COUNT = 50


class Chosen:
    """Stands for `choose_projection`: counts its calls, and gives other axes each time, as many and as kept."""

    def __init__(self, kept: int, precision: Precision) -> None:
        self.kept = kept
        self.precision = precision
        self.times = 0

    def __call__(
        self, _directions: Floats, _everyone: object, _threshold: float, _cap: int | None, _precisions: object
    ) -> Projection:
        self.times += 1
        return self.now

    @property
    def now(self) -> Projection:
        return Projection(random_axes(self.times, WIDTH, self.kept), self.precision)


CHOICES = list(product((3, WIDTH), Precision))
"""How many directions are kept, and in which precision."""
PLAIN = (WIDTH, Precision.FLOAT32)
"""Of these the short rows are the directions themselves, so there is no file of them."""


@pytest.fixture(params=CHOICES)
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Chosen:
    choice = Chosen(*request.param)
    monkeypatch.setattr(short_rows, "choose_projection", choice)
    monkeypatch.setattr(short_rows, "fast_precisions", lambda: tuple(Precision))
    monkeypatch.setattr(short_rows, "_ROWS_AT_A_TIME", 7)
    return choice


class Kept:
    """A matrix, and its short rows in a folder; each use opens the folder as a new process does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.directions = rows_of("clusters", 0, COUNT)

    def recreate(self) -> Bounds:
        return ShortRows(self.folder).recreate(self.directions, np.arange(len(self.directions)), POLICY)

    def current(self, *changed: int) -> Bounds:
        everyone = np.arange(len(self.directions))
        return ShortRows(self.folder).current(self.directions, np.array(changed, dtype=np.int64), everyone, POLICY)

    def grow(self, rows: int) -> None:
        more = np.zeros((rows, WIDTH), dtype=np.float32)
        self.directions = np.concatenate([self.directions, more])


@pytest.fixture
def kept(tmp_path: Path, chosen: Chosen) -> Kept:
    made = Kept(tmp_path)
    made.recreate()
    return made


def check(bounds: Bounds, directions: Floats, projection: Projection) -> None:
    expected = bounds_of(directions, projection)
    np.testing.assert_array_equal(bounds.short, expected.short)
    assert bounds.short.dtype == expected.short.dtype
    assert bounds.precision is projection.precision
    assert (bounds.rest is None) == (projection.axes.shape[1] == WIDTH)
    if bounds.rest is not None:
        np.testing.assert_array_equal(bounds.rest, projection.precision.load(bounds.short[:, -1]))
    assert bounds.slack == expected.slack


def check_disk(kept: Kept, projection: Projection) -> None:
    """The very bytes: short rows, where they are not the directions, and the projection that they are read by."""
    assert (kept.folder / "short.bin").exists() != projection.is_plain
    if not projection.is_plain:
        short = np.fromfile(kept.folder / "short.bin", dtype=projection.precision.dtype)
        expected = projection.shorten(kept.directions)
        np.testing.assert_array_equal(short.reshape(expected.shape), expected)
    with np.load(kept.folder / "projection.npz") as stored:
        assert set(stored) == {"axes", "precision", "rows"}
        np.testing.assert_array_equal(stored["axes"], projection.axes)
        assert str(stored["precision"]) == projection.precision.value
        assert int(stored["rows"]) == len(kept.directions)


def test_only_changed_rows_are_shortened_again(kept: Kept, chosen: Chosen) -> None:
    check(kept.current(), kept.directions, chosen.now)
    before = kept.directions.copy()
    kept.directions[:30] = rows_of("sparse", 1, 30)
    changed = range(0, 30, 2)
    mixed = before.copy()
    mixed[list(changed)] = kept.directions[list(changed)]
    check(kept.current(*changed), kept.directions if chosen.now.is_plain else mixed, chosen.now)
    check(kept.current(*range(30)), kept.directions, chosen.now)
    assert chosen.times == 1


def test_short_rows_and_their_projection_are_on_disk(kept: Kept, chosen: Chosen) -> None:
    check_disk(kept, chosen.now)
    kept.directions[3] = kept.directions[4]
    kept.current(3)
    check_disk(kept, chosen.now)


@pytest.mark.parametrize("gone", [False, True])
def test_bounds_are_no_copy_of_what_is_on_disk_and_what_was_chosen_before_is_gone(
    kept: Kept, chosen: Chosen, gone: bool
) -> None:
    """Of another width, in other precision: nothing of the old file is left."""
    chosen.kept, chosen.precision = (
        2,
        Precision.BFLOAT16 if chosen.precision is Precision.FLOAT32 else Precision.FLOAT32,
    )
    if gone:
        (kept.folder / "projection.npz").unlink()
        bounds = kept.current(1)
    else:
        bounds = kept.recreate()
    check(bounds, kept.directions, chosen.now)
    check_disk(kept, chosen.now)
    assert isinstance(bounds.short, np.memmap)
    check(kept.current(), kept.directions, chosen.now)
    assert chosen.times == 2


def test_numbers_that_this_machine_does_not_multiply_well_are_given_up(
    kept: Kept, chosen: Chosen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A space that another machine has made, or one with a GPU, or a process with TensorFlow; this has none of it."""
    other = Precision.BFLOAT16 if chosen.precision is Precision.FLOAT32 else Precision.FLOAT32
    monkeypatch.setattr(short_rows, "fast_precisions", lambda: (other,))
    chosen.precision = other
    check(kept.current(2), kept.directions, chosen.now)
    check_disk(kept, chosen.now)
    assert chosen.times == 2
    check(kept.current(2), kept.directions, chosen.now)
    assert chosen.times == 2


def test_short_rows_grow_with_the_matrix(kept: Kept, chosen: Chosen) -> None:
    kept.grow(20)
    kept.directions[COUNT : COUNT + 9] = rows_of("clusters", 1, 9)
    check(kept.current(*range(COUNT, COUNT + 9)), kept.directions, chosen.now)
    check_disk(kept, chosen.now)
    check(kept.current(), kept.directions, chosen.now)
    kept.grow(3)
    kept.directions[1] = kept.directions[2]
    check(kept.current(1), kept.directions, chosen.now)
    check_disk(kept, chosen.now)
    assert chosen.times == 1


def test_a_crash_after_growing_and_before_it_is_declared_costs_nothing(
    kept: Kept, chosen: Chosen, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.grow(20)
    kept.directions[COUNT:60] = rows_of("clusters", 1, 10)
    with monkeypatch.context() as patch:
        patch.setattr(short_rows, "replacing", _crash)
        with pytest.raises(KeyboardInterrupt):
            kept.current(*range(COUNT, 60))
    check(kept.current(*range(COUNT, 60)), kept.directions, chosen.now)
    assert chosen.times == 1


def test_where_nothing_grows_the_projection_is_not_written_again(
    kept: Kept, chosen: Chosen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_rows, "replacing", _crash)
    kept.directions[5] = kept.directions[6]
    check(kept.current(5), kept.directions, chosen.now)


def test_a_crash_while_recreating_leaves_nothing_that_could_be_taken_for_whole(
    kept: Kept, chosen: Chosen, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(short_rows, "replacing", _crash)
        with pytest.raises(KeyboardInterrupt):
            kept.recreate()
    check(kept.current(), kept.directions, chosen.now)
    assert chosen.times == 3


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def _projection_of(**changes: object) -> Callable[[Path], object]:
    """Write a projection of which something is amiss."""

    def write(folder: Path) -> None:
        with np.load(folder / "projection.npz") as stored:
            arrays = {**stored, **changes}
        np.savez(folder / "projection.npz", **{name: value for name, value in arrays.items() if value is not None})

    return write


def _cut(name: str, left: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:left])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "projection missing": lambda folder: (folder / "projection.npz").unlink(),
    "projection empty": lambda folder: (folder / "projection.npz").write_bytes(b""),
    "projection cut": _cut("projection.npz", -30),
    "projection cut early": _cut("projection.npz", 100),
    "projection rotten": lambda folder: (folder / "projection.npz").write_bytes(b"PK rotten"),
    "projection no archive": lambda folder: (folder / "projection.npz").write_bytes(b"rotten, and not even an archive"),
    "projection rotten inside": lambda folder: _overwrite(folder / "projection.npz", 200, b"rotten" * 10),
    "projection of another kind": lambda folder: np.savez(folder / "projection.npz", other=np.zeros(3)),
    "axes missing": _projection_of(axes=None),
    "axes an object": _projection_of(axes=np.array([None])),
    "axes of another width": _projection_of(axes=np.eye(9)[:, :3]),
    "precision missing": _projection_of(precision=None),
    "precision unknown": _projection_of(precision=np.array("float8")),
    "precision an object": _projection_of(precision=np.array([None])),
    "rows missing": _projection_of(rows=None),
}
OF_SHORT_ROWS: dict[str, Callable[[Path], object]] = {
    "rows too many": _projection_of(rows=np.int64(COUNT + 1)),
    "short rows missing": lambda folder: (folder / "short.bin").unlink(),
    "short rows empty": lambda folder: (folder / "short.bin").write_bytes(b""),
    "short rows cut": _cut("short.bin", -1),
    "short rows cut by half": lambda folder: _cut("short.bin", (folder / "short.bin").stat().st_size // 2)(folder),
}


def _overwrite(path: Path, at: int, what: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + what + whole[at + len(what) :])


@pytest.mark.parametrize("damage", DAMAGES)
def test_short_rows_of_a_damaged_projection_are_recreated(kept: Kept, chosen: Chosen, damage: str) -> None:
    DAMAGES[damage](kept.folder)
    check_recreated(kept, chosen)


@pytest.mark.parametrize("chosen", [choice for choice in CHOICES if choice != PLAIN], indirect=True)
@pytest.mark.parametrize("damage", OF_SHORT_ROWS)
def test_damaged_short_rows_are_recreated(kept: Kept, chosen: Chosen, damage: str) -> None:
    OF_SHORT_ROWS[damage](kept.folder)
    check_recreated(kept, chosen)


def check_recreated(kept: Kept, chosen: Chosen) -> None:
    """By a projection that is chosen again, once."""
    check(kept.current(2), kept.directions, chosen.now)
    assert chosen.times == 2
    check(kept.current(2), kept.directions, chosen.now)
    assert chosen.times == 2


def test_directions_that_are_their_own_short_rows_are_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_rows, "choose_projection", Chosen(*PLAIN))
    kept = Kept(tmp_path)
    (tmp_path / "short.bin").write_bytes(b"of an earlier projection")
    assert kept.recreate().short is kept.directions
    assert kept.current(3).short is kept.directions
    assert not (tmp_path / "short.bin").exists()


def test_a_projection_is_chosen_by_the_policy_and_for_those_who_are_there(tmp_path: Path) -> None:
    directions = np.concatenate([low_rank(0, 2000, 60, 5), np.zeros((500, 60), dtype=np.float32)])
    bounds = ShortRows(tmp_path).recreate(directions, np.arange(2000), POLICY)
    assert bounds.short.shape[1] < 30
    with np.load(tmp_path / "projection.npz") as stored:
        projection = Projection(stored["axes"], Precision(str(stored["precision"])))
        assert int(stored["rows"]) == 2500
    np.testing.assert_array_equal(bounds.short, projection.shorten(directions))
