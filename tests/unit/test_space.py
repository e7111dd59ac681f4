"""P3 for a whole space on disk: after any history, its pairs are those of a space made afresh from the same users."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.policies import PairPolicy
from tests.worlds import GROUP, Row, World, names
from trainer.features.checks import CheckedRows, check_rows
from trainer.features.protocol import FeatureRows
from trainer.pairs.graph import pairs_of
from trainer.scaling import fit_space
from trainer.space import Space, prune

POLICY = PairPolicy(similarity_threshold=0.8, max_positives_per_user=4)


def checked(rows: dict[str, Row]) -> CheckedRows:
    columns = {column.name: [row[column.name] for row in rows.values()] for column in GROUP.columns}
    return check_rows(GROUP, FeatureRows(list(rows), {name: list(blocks) for name, blocks in columns.items()}))


def pairs(space: Space) -> set[tuple[str, str]]:
    keys, rows = space.matrix.users()
    key_of = dict(zip(rows.tolist(), keys, strict=True))
    return {tuple(sorted((key_of[a], key_of[b]))) for a, b in pairs_of(space.links).tolist()}


def no_tick(_done: int, _of: int) -> None:
    pass


INFO = fit_space("s1", GROUP, checked(World().rows(names(200))).raw)
users = st.sampled_from(names(60))
steps = st.tuples(st.lists(users, unique=True, max_size=15), st.lists(users, unique=True, max_size=8), st.booleans())


@given(st.lists(steps, min_size=1, max_size=5), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_incremental_equals_full(history: list[tuple[list[str], list[str], bool]], seed: int) -> None:
    world = World(seed)
    standing = world.rows(names(50))
    with TemporaryDirectory() as folder:
        space = Space.create(Path(folder) / "live", INFO, GROUP)
        space.apply(checked(standing), [])
        space.update_pairs(POLICY, no_tick)
        space.finish()
        for upserts, deletes, crash in history:
            changed = world.rows(upserts)
            gone = [user for user in deletes if user not in changed]
            space.apply(checked(changed), gone)
            if crash:  # killed between matrix and pairs, and the step repeated by the next process
                space.close()
                reopened = Space.open(Path(folder) / "live", INFO, GROUP)
                assert reopened is not None
                space = reopened
                space.apply(checked(changed), gone)
            space.update_pairs(POLICY, no_tick)
            standing.update(changed)
            for user in gone:
                standing.pop(user, None)
            afresh = Space.create(Path(folder) / "afresh", INFO, GROUP)
            afresh.apply(checked(standing), [])
            afresh.update_pairs(POLICY, no_tick)
            assert pairs(space) == pairs(afresh)
            afresh.close()
        space.close()


@pytest.fixture
def space(tmp_path: Path) -> Space:
    made = Space.create(tmp_path / "s1", INFO, GROUP)
    made.apply(checked(World().rows(names(80))), [])
    made.update_pairs(POLICY, no_tick)
    return made


def test_a_space_is_found_only_once_it_is_finished_and_by_its_own_scaling(space: Space, tmp_path: Path) -> None:
    assert Space.open(tmp_path / "s1", INFO, GROUP) is None
    space.finish()
    assert Space.open(tmp_path / "s1", INFO, GROUP) is not None
    assert Space.open(tmp_path / "s1", INFO.model_copy(update={"space_id": "s2"}), GROUP) is None
    assert Space.open(tmp_path / "elsewhere", INFO, GROUP) is None


def test_another_policy_mines_everything_again(space: Space) -> None:
    uncapped = POLICY.model_copy(update={"max_positives_per_user": None})
    assert space.update_pairs(POLICY, no_tick).rows_mined == 0
    report = space.update_pairs(uncapped, no_tick)
    assert report.rows_mined == 80
    assert report.after > report.before
    assert report.after - report.before == report.added - report.removed


def test_damaged_pairs_are_mined_again(space: Space, tmp_path: Path) -> None:
    before = pairs(space)
    space.finish()
    (tmp_path / "s1" / "pairs.npz").write_bytes(b"PK rotten")
    again = Space.open(tmp_path / "s1", INFO, GROUP)
    assert again is not None
    assert again.update_pairs(POLICY, no_tick).rows_mined == 80
    assert pairs(again) == before


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


def test_spaces_that_nobody_stands_on_are_removed(space: Space, tmp_path: Path) -> None:
    (tmp_path / "s0").mkdir()
    prune(tmp_path, {"s1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s1"]
    prune(tmp_path / "not there", set())
