"""P3 for a whole space on disk: after any history, its pairs are those of a space made afresh from the same users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.cycle import PairReport
from schemas.policies import PairPolicy
from stores.feature_store import FeatureRows
from stores.features.checks import CheckedRows, check_rows
from tests.models.pairs.test_graph import random_axes
from tests.worlds import GROUP, Row, World, names
from trainer.matrix import embeddings
from trainer.matrix.axes import training_axes
from trainer.matrix.scaling import fit_space
from trainer.pairs import short_rows
from trainer.pairs.bounds import Projection
from trainer.pairs.precision import Precision
from trainer.space import Space, prune

POLICY = PairPolicy(similarity_threshold=0.8, max_positives_per_user=4)


def checked(rows: dict[str, Row]) -> CheckedRows:
    columns = {column.name: [row[column.name] for row in rows.values()] for column in GROUP.columns}
    return check_rows(GROUP, FeatureRows(list(rows), {name: list(blocks) for name, blocks in columns.items()}))


def pairs(space: Space) -> set[tuple[str, str]]:
    keys, rows = space.matrix.users()
    key_of = dict(zip(rows.tolist(), keys, strict=True))
    return {(min(pair), max(pair)) for pair in ((key_of[a], key_of[b]) for a, b in space.graph.pairs().tolist())}


def no_tick(_done: int, _of: int) -> None:
    pass


def check_report(report: PairReport, before: set[tuple[str, str]], space: Space) -> None:
    after = pairs(space)
    assert report.users == len(space.matrix)
    assert (report.before, report.after) == (len(before), len(after))
    assert (report.added, report.removed) == (len(after - before), len(before - after))


INFO = fit_space("s1", GROUP, checked(World().rows(names(200))).raw)


class KilledError(Exception):
    """Stands for the end of the process."""


def _killed(*_: object) -> None:
    raise KilledError


DEATHS: dict[str, tuple[object, str] | None] = {
    "never": None,
    "between matrix and pairs": (Space, "update_pairs"),
    "before the short rows are declared": (short_rows, "replacing"),
    "before the pairs are stored": (Space, "_store_pairs"),
    "before the matrix is clean": (embeddings.UserMatrix, "clean"),
}


def dies(death: str, space: Space, policy: PairPolicy) -> bool:
    """Whether the pairs had not been stored when the process died at that point, if it came there."""
    where = DEATHS[death]
    with pytest.MonkeyPatch.context() as patch:
        if where is not None:
            patch.setattr(*where, _killed)
        try:
            space.update_pairs(policy, no_tick)
        except KilledError:
            return death != "before the matrix is clean"
    return False


@contextmanager
def projections_of(kept: int, precision: Precision) -> Iterator[None]:
    """Spaces by so many axes, others each time, in this precision; matrices small at first, so that they grow."""
    times = iter(range(1000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            short_rows,
            "choose_projection",
            lambda rows, *_: Projection(random_axes(next(times), rows.shape[1], kept), precision),
        )
        patch.setattr("trainer.pairs.engine.fast_precisions", lambda: tuple(Precision))
        patch.setattr(embeddings, "_SMALLEST", 30)
        patch.setattr("stores.files.os.fsync", lambda _handle: None)
        yield


users = st.sampled_from(names(60))
steps = st.tuples(
    st.lists(users, unique=True, max_size=15), st.lists(users, unique=True, max_size=8), st.sampled_from(list(DEATHS))
)


@pytest.mark.full
@given(
    history=st.lists(steps, min_size=1, max_size=5),
    seed=st.integers(0, 1000),
    cap=st.sampled_from([None, 1, 4]),
    kept=st.sampled_from([2, 8, GROUP.width]),
    precision=st.sampled_from(Precision),
)
@settings(max_examples=40, deadline=None)
def test_incremental_equals_full(
    history: list[tuple[list[str], list[str], str]], seed: int, cap: int | None, kept: int, precision: Precision
) -> None:
    policy = POLICY.model_copy(update={"max_positives_per_user": cap})
    world = World(seed)
    standing = world.rows(names(25))
    with TemporaryDirectory() as folder, projections_of(kept, precision):
        space = Space.create(Path(folder) / "live", INFO, GROUP)
        space.apply(checked(standing), [])
        check_report(space.update_pairs(policy, no_tick), set(), space)
        space.finish("c1")
        for upserts, deletes, death in history:
            before, told = pairs(space), False
            changed = world.rows(upserts)
            gone = [user for user in deletes if user not in changed]
            space.apply(checked(changed), gone)
            if DEATHS[death] is not None:
                told = not dies(death, space, policy)
                space.close()
                reopened = Space.open(Path(folder) / "live", INFO, GROUP)
                assert reopened is not None
                space = reopened
                space.apply(checked(changed), gone)  # the step is repeated by the next process
            report = space.update_pairs(policy, no_tick)
            check_report(report, pairs(space) if told else before, space)
            assert report.rows_mined <= len(changed)
            assert len(space.matrix.dirty()) == 0
            standing.update(changed)
            for user in gone:
                standing.pop(user, None)
            afresh = Space.create(Path(folder) / "afresh", INFO, GROUP)
            afresh.apply(checked(standing), [])
            afresh.update_pairs(policy, no_tick)
            assert pairs(space) == pairs(afresh)
            afresh.close()
        space.close()


@pytest.mark.parametrize("kept", [2, GROUP.width])
@pytest.mark.parametrize("precision", Precision)
def test_a_space_that_grows_stays_right_and_its_short_rows_grow_with_it(
    tmp_path: Path, kept: int, precision: Precision
) -> None:
    world = World()
    with projections_of(kept, precision):
        space = Space.create(tmp_path / "s1", INFO, GROUP)
        for start in range(0, 200, 40):
            space.apply(checked(world.rows(names(40, start))), [])
            assert space.update_pairs(POLICY, no_tick).rows_mined == 40
            path = tmp_path / "s1" / "short.bin"
            width = kept + (kept < GROUP.width)
            plain = kept == GROUP.width and precision is Precision.FLOAT32
            size = 0 if plain else precision.dtype.itemsize * width * len(space.matrix.directions)
            assert (path.stat().st_size if path.exists() else 0) == size
        assert len(space.matrix.directions) > 40
        kept_pairs = pairs(space)
        (tmp_path / "s1" / "pairs.bin").unlink()
        space.finish("c1")
        space.close()
        again = Space.open(tmp_path / "s1", INFO, GROUP)
        assert again is not None
        assert again.update_pairs(POLICY, no_tick).rows_mined == 200
        assert pairs(again) == kept_pairs
        again.close()


@pytest.fixture
def space(tmp_path: Path) -> Space:
    made = Space.create(tmp_path / "s1", INFO, GROUP)
    made.apply(checked(World().rows(names(80))), [])
    made.update_pairs(POLICY, no_tick)
    return made


def test_a_space_is_found_only_once_it_is_finished_and_by_its_own_scaling(space: Space, tmp_path: Path) -> None:
    assert Space.open(tmp_path / "s1", INFO, GROUP) is None
    space.finish("c1")
    assert Space.open(tmp_path / "s1", INFO, GROUP) is not None
    assert Space.open(tmp_path / "s1", INFO.model_copy(update={"space_id": "s2"}), GROUP) is None
    assert Space.open(tmp_path / "elsewhere", INFO, GROUP) is None


def test_axes_are_kept_with_the_space_and_none_are_made_of_a_damaged_file(space: Space, tmp_path: Path) -> None:
    assert space.axes() is None
    axes = np.eye(3, GROUP.width, dtype=np.float32)
    space.keep_axes(axes)
    space.finish("c1")
    again = Space.open(tmp_path / "s1", INFO, GROUP)
    assert again is not None
    np.testing.assert_array_equal(again.axes(), axes)
    again.keep_axes(axes[:, :-1])  # of other columns
    assert again.axes() is None
    for rotten in (b"", b"rotten"):
        (tmp_path / "s1" / "axes.npy").write_bytes(rotten)
        assert again.axes() is None
    again.close()


def test_a_space_that_has_missed_a_cycle_is_not_found(space: Space, tmp_path: Path) -> None:
    """Another machine has settled that cycle: its users are not pending any more, and this copy has not seen them."""
    space.finish("c1")
    space.finish("c2")
    space.finish("c3")  # refused by the gate, say: the last settled one is still c2
    assert Space.open(tmp_path / "s1", INFO, GROUP, last_promoted_cycle="c2") is not None
    assert Space.open(tmp_path / "s1", INFO, GROUP, last_promoted_cycle="c4") is None
    (tmp_path / "s1" / "cycles.json").unlink()
    assert Space.open(tmp_path / "s1", INFO, GROUP, last_promoted_cycle="c2") is None


def test_it_knows_what_each_cycle_left(space: Space, tmp_path: Path) -> None:
    def without(block: str, rows: dict[str, Row]) -> dict[str, Row]:
        plain = {block: np.zeros_like(World().row()[block]), "year": np.full(1, INFO.scalars["year"].mean, np.float32)}
        return {user: row | plain for user, row in rows.items()}

    space.apply(checked(without("habit", World().rows(names(80)))), [])
    space.keep_axes(training_axes(space.matrix.directions, np.arange(80)))
    report = space.update_pairs(POLICY, no_tick)
    space.finish("c1")
    space.apply(checked(without("taste", World(1).rows(names(40)))), [])
    space.update_pairs(POLICY, no_tick)
    space.finish("c2")
    space.finish("c3")
    assert space.pairs_after("c1", POLICY) == report.after
    assert space.pairs_after("c2", POLICY) == space.pairs_after("c3", POLICY) == len(pairs(space))
    assert space.pairs_after("c1", POLICY.model_copy(update={"similarity_threshold": 0.7})) is None
    (before, after) = (space.outside_after(cycle) for cycle in ("c1", "c2"))
    assert before is not None
    assert after is not None
    assert after - before > 0.3
    assert (space.pairs_after("c4", POLICY), space.outside_after("c4")) == (None, None)
    (tmp_path / "s1" / "cycles.json").write_text('["c1", "c2"]')  # as an earlier release had it
    assert space.pairs_after("c2", POLICY) is None
    assert Space.open(tmp_path / "s1", INFO, GROUP, last_promoted_cycle="c2") is not None


def test_another_policy_mines_everything_again(space: Space) -> None:
    assert space.update_pairs(POLICY, no_tick).rows_mined == 0
    policy, counts = POLICY, [len(pairs(space))]
    changes: list[dict[str, object]] = [{"max_positives_per_user": None}, {"similarity_threshold": 0.5}]
    for change in changes:
        before = pairs(space)
        policy = policy.model_copy(update=change)
        report = space.update_pairs(policy, no_tick)
        assert report.rows_mined == 80
        check_report(report, before, space)
        counts.append(report.after)
    assert counts[0] < counts[1] < counts[2]


def test_ties_are_broken_by_id_and_not_by_row(tmp_path: Path) -> None:
    space = Space.create(tmp_path / "s1", INFO, GROUP)
    twin = World().row()
    space.apply(checked({"c": twin, "b": twin, "a": twin}), [])
    space.update_pairs(POLICY.model_copy(update={"max_positives_per_user": 1}), no_tick)
    assert space.matrix.rows_of(["c", "b", "a"]) == {"c": 0, "b": 1, "a": 2}
    assert pairs(space) == {("a", "b"), ("a", "c")}


def test_a_projection_is_chosen_again_when_everybody_is_mined_and_only_then(tmp_path: Path) -> None:
    def axes() -> bytes:
        with np.load(tmp_path / "s1" / "projection.npz") as stored:
            return bytes(stored["axes"].tobytes())

    with projections_of(4, Precision.BFLOAT16):
        space = Space.create(tmp_path / "s1", INFO, GROUP)
        space.apply(checked(World().rows(names(40))), [])
        space.update_pairs(POLICY, no_tick)
        first = axes()
        space.apply(checked(World(1).rows(names(20, 30))), names(5))
        space.update_pairs(POLICY, no_tick)
        assert axes() == first
        space.update_pairs(POLICY.model_copy(update={"similarity_threshold": 0.5}), no_tick)
        assert axes() != first


def test_how_pairs_are_mined_is_no_reason_to_mine_them_again(space: Space) -> None:
    same = POLICY.model_copy(update={"threads": 3, "block_megabytes": 2, "negative_ratio": 3})
    assert space.update_pairs(same, no_tick).rows_mined == 0


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "rotten": lambda path: path.write_bytes(b"PK rotten"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "of another format": lambda path: path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 0', 1)),
    "of other arrays": lambda path: path.write_bytes(path.read_bytes().replace(b'"floor"', b'"flood"', 1)),
    "of no policy": lambda path: path.write_bytes(path.read_bytes().replace(b'"policy": {', b'"policy": [', 1)),
    "of a broken policy": lambda path: path.write_bytes(path.read_bytes().replace(b"0.8", b"8.0", 1)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pairs_are_mined_again(space: Space, tmp_path: Path, damage: str) -> None:
    before = pairs(space)
    space.finish("c1")
    DAMAGES[damage](tmp_path / "s1" / "pairs.bin")
    again = Space.open(tmp_path / "s1", INFO, GROUP)
    assert again is not None
    report = again.update_pairs(POLICY, no_tick)
    assert report.rows_mined == 80
    check_report(report, set(), again)  # what they were nobody knows
    assert pairs(again) == before


def test_pairs_that_cannot_be_mapped_are_kept_as_they_were_made(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pairs(space)
    monkeypatch.setattr("trainer.space.stored_graph", lambda _folder: None)
    space.update_pairs(POLICY.model_copy(update={"similarity_threshold": 0.99}), no_tick)
    assert pairs(space) < before
    assert space.update_pairs(POLICY, no_tick).rows_mined == 80
    assert pairs(space) == before


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("file", ["projection.npz", "short.bin"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_with_damaged_bounds_pairs_stay_right_and_only_what_changed_is_mined(
    tmp_path: Path, file: str, damage: str, precision: Precision
) -> None:
    world = World()
    standing = world.rows(names(80))
    changed = world.rows(names(20))
    with projections_of(4, precision):
        space = Space.create(tmp_path / "s1", INFO, GROUP)
        space.apply(checked(standing), [])
        space.update_pairs(POLICY, no_tick)
        DAMAGES[damage](tmp_path / "s1" / file)
        space.apply(checked(changed), [])
        assert space.update_pairs(POLICY, no_tick).rows_mined == 20
        afresh = Space.create(tmp_path / "s2", INFO, GROUP)
        afresh.apply(checked({**standing, **changed}), [])
        afresh.update_pairs(POLICY, no_tick)
        assert pairs(space) == pairs(afresh)


def test_deleting_users_shows_in_the_count(space: Space) -> None:
    report = space.update_pairs(POLICY, no_tick)
    space.apply(checked({}), names(20))
    after = space.update_pairs(POLICY, no_tick)
    assert after.users == 60
    assert after.before == report.after
    assert after.removed > 0
    assert not {user for pair in pairs(space) for user in pair} & set(names(20))


def test_an_all_zero_user_has_no_pairs(space: Space) -> None:
    zero: Row = {column.name: np.zeros(column.length, dtype=np.float32) for column in GROUP.columns}
    space.apply(checked({"z1": zero, "z2": zero}), [])
    assert space.update_pairs(POLICY, no_tick).users == 82
    assert not {user for pair in pairs(space) for user in pair} & {"z1", "z2"}


def test_a_user_who_becomes_all_zero_loses_their_pairs_and_has_them_again_with_their_row(space: Space) -> None:
    before = pairs(space)
    user = min(before)[0]
    raw = {user: space.matrix.raw[space.matrix.rows_of([user])[user]].copy()}
    row: Row = {name: raw[user][where] for name, where in GROUP.slices().items()}
    zero: Row = {column.name: np.zeros(column.length, dtype=np.float32) for column in GROUP.columns}
    space.apply(checked({user: zero}), [])
    report = space.update_pairs(POLICY, no_tick)
    check_report(report, before, space)
    assert (report.users, report.rows_mined) == (80, 0)
    assert not any(user in pair for pair in pairs(space))
    space.apply(checked({user: row}), [])
    assert space.update_pairs(POLICY, no_tick).rows_mined == 1
    assert pairs(space) == before


def test_spaces_that_nobody_stands_on_are_removed(space: Space, tmp_path: Path) -> None:
    (tmp_path / "s0").mkdir()
    prune(tmp_path, {"s1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s1"]
    prune(tmp_path / "not there", set())
