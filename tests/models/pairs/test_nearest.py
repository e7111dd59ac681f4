"""Lists with a reserve behind the cap: right after every change, and seldom mined again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from retrainer.demo import audience as listeners
from retrainer.demo import lastfm
from retrainer.demo.audience import GeneratedAudience
from retrainer.demo.lastfm import LastfmAudience
from retrainer.demo.waves import Audience, Mix, Wave
from schemas.features import FeatureGroup
from schemas.policies import PairPolicy
from stores.feature_store import FeatureRows
from stores.features.checks import CheckedRows, check_rows
from tests.models.pairs.test_graph import ROWS, World, as_set, by_definition, check_lists, plane, rows_of
from trainer.matrix.scaling import fit_space
from trainer.pairs.graph import update_graph
from trainer.pairs.nearest import depth_of
from trainer.space import Space

LOG = Path(__file__).parents[4] / "shared" / "data" / "lastfm" / "user_artists.dat"


def world_of(cap: int, threshold: float = 0.5) -> World:
    return World(PairPolicy(similarity_threshold=threshold, max_positives_per_user=cap))


@pytest.mark.parametrize(("cap", "depth"), [(1, 9), (8, 16), (32, 40), (50, 62), (100, 125)])
def test_lists_are_cut_somewhat_behind_the_cap(cap: int, depth: int) -> None:
    assert depth_of(cap) == depth
    world = world_of(cap, 0.01)
    world.change(np.arange(150), rows_of("dense", 0, 150))
    there = np.flatnonzero(world.directions.any(axis=1))
    count = np.bincount(world.graph.lists.links.source, minlength=len(world.directions))
    assert (count[there] == depth).all()
    assert (world.graph.lists.end[there] >= 0).all()


def test_a_list_that_holds_everybody_has_no_end() -> None:
    world = world_of(3)
    world.change(np.arange(9), plane([0.01 * row for row in range(9)]))
    assert (world.graph.lists.floor == -np.inf).all()
    world.change(np.arange(9, 30), plane([0.01 * row for row in range(9, 30)]))
    assert (world.graph.lists.floor[:9] > 0.5).all()
    check_lists(world)


def test_a_change_that_touches_nobody_refills_nothing() -> None:
    world = world_of(2, 0.9)
    world.change(np.arange(40), rows_of("clusters", 1, 40))
    assert (world.graph.lists.floor > -np.inf).any()
    lonely = -np.eye(6, dtype=np.float32)[5:]
    for how in (lonely, lonely, lonely * np.float32(0)):
        assert world.change(np.array([45]), how).refilled == 0
    assert world.change(np.array([45]), lonely, delete=True).refilled == 0
    assert world.change(np.arange(0), lonely[:0]).refilled == 0
    check_lists(world)


def test_a_list_is_refilled_when_its_reserve_is_used_up_and_not_before() -> None:
    """Users on a circle; those next to the first leave one by one, and its list knows so many and no more."""
    world = world_of(2)
    depth = depth_of(2)
    angles = [0.0, *(0.3 + 0.01 * row for row in range(30))]
    world.change(np.arange(31), plane(angles))
    assert world.graph.lists.links.target[world.graph.lists.links.source == 0].tolist() == list(range(1, depth + 1))
    for gone in range(1, depth - 1):
        before = (world.graph.lists.links.source == 0).sum()
        world.change(np.array([gone]), plane([0.0]), delete=True)
        check_lists(world)
        assert (world.graph.lists.links.source == 0).sum() == before - 1  # lives on its reserve
    assert (world.graph.lists.links.source == 0).sum() == 2
    assert world.change(np.array([depth - 1]), plane([0.0]), delete=True).refilled >= 1
    assert (world.graph.lists.links.source == 0).sum() == depth
    check_lists(world)
    assert as_set(world.graph.pairs()) == by_definition(world)


def test_as_many_users_as_come_near_a_list_grows_again_without_being_mined() -> None:
    world = world_of(2)
    world.change(np.arange(31), plane([0.0, *(0.3 + 0.01 * row for row in range(30))]))
    world.change(np.arange(1, 8), plane([0.0] * 7), delete=True)
    count = (world.graph.lists.links.source == 0).sum()
    update = world.change(np.arange(40, 44), plane([0.2, 0.21, 0.22, 0.23]))
    assert update.refilled == 0
    assert (world.graph.lists.links.source == 0).sum() == count + 4
    check_lists(world)


def test_a_list_whose_members_are_all_gone_is_refilled() -> None:
    world = world_of(1)
    world.change(np.arange(30), plane([0.0, *(0.1 + 0.01 * row for row in range(29))]))
    world.change(np.arange(1, depth_of(1) + 1), plane([0.0] * 9), delete=True)
    check_lists(world)
    world.change(np.arange(10, 30), plane([2.5] * 20))
    check_lists(world)
    assert not (world.graph.lists.links.source == 0).any()
    assert world.graph.lists.floor[0] == -np.inf


@pytest.mark.full
@pytest.mark.parametrize("kind", ["clusters", "duplicates", "dense", "on the line"])
@pytest.mark.parametrize("cap", [1, 2, 5])
def test_lists_are_right_after_each_of_many_small_changes(kind: str, cap: int) -> None:
    world = world_of(cap, 0.9)
    world.change(np.arange(ROWS), rows_of(kind, 0, ROWS))
    draw = np.random.default_rng(cap)
    refilled = []
    for step in range(30):
        rows = draw.choice(ROWS, int(draw.integers(1, 6)), replace=False)
        leaving = draw.random() < (0.8 if step < 15 else 0.1)  # they go, and come again
        update = world.change(rows, rows_of(kind, step, len(rows)), delete=bool(leaving))
        refilled.append(update.refilled)
        check_lists(world)
        assert as_set(world.graph.pairs()) == by_definition(world)
    assert not all(refilled)


def test_refilling_is_part_of_the_progress() -> None:
    world = world_of(2)
    world.change(np.arange(31), plane([0.0, *(0.3 + 0.01 * row for row in range(30))]))
    world.directions[1:30] = 0
    told: list[tuple[int, int]] = []
    update = update_graph(
        world.graph, world.view(), np.arange(1, 30), world.policy, lambda done, of: told.append((done, of))
    )
    assert update.mined == 0
    assert update.refilled == 2
    assert told[-1] == (2, 2)


def checked(group: FeatureGroup, wave: Wave) -> CheckedRows:
    columns = {column.name: [row[column.name] for row in wave.upserts.values()] for column in group.columns}
    return check_rows(group, FeatureRows(list(wave.upserts), {name: list(rows) for name, rows in columns.items()}))


def in_parts(waves: Iterator[Wave], changes: int) -> Iterator[Wave]:
    """The same changes, so many at a time."""
    for wave in waves:
        upserts = list(wave.upserts.items())
        for at in range(0, len(upserts), changes):
            yield Wave(wave.title, dict(upserts[at : at + changes]))
        for at in range(0, len(wave.deletes), changes):
            yield Wave(wave.title, {}, wave.deletes[at : at + changes])


def refills(
    folder: Path, source: Audience, waves: Iterator[Wave], group: FeatureGroup, policy: PairPolicy
) -> Sequence[tuple[int, int]]:
    """Of each wave (users changed, lists refilled); the graph is compared with one made afresh at the end."""
    rows = checked(group, source.initial())
    space = Space.create(folder, fit_space("s1", group, rows.raw), group)
    space.apply(rows, [])
    assert space.update_pairs(policy, lambda _done, _of: None).rows_refilled == 0
    told = []
    for wave in waves:
        space.apply(checked(group, wave), wave.deletes)
        report = space.update_pairs(policy, lambda _done, _of: None)
        told.append((len(wave.upserts) + len(wave.deletes), report.rows_refilled))
    keys, held = space.matrix.users()
    ids = dict(zip(held.tolist(), map(float, range(len(keys))), strict=True))  # users come in the order of their ids
    world = World(policy, directions=np.array(space.matrix.directions), ids=ids)
    assert np.array_equal(space.graph.codes(), world.afresh().codes())
    lists, again = space.graph.lists.chosen(policy.max_positives_per_user or 1), world.afresh()
    whole = again.lists.chosen(policy.max_positives_per_user or 1)
    np.testing.assert_array_equal(lists.source, whole.source)
    np.testing.assert_array_equal(lists.target, whole.target)
    assert (space.graph.lists.floor > -np.inf).sum() > 100  # else nothing was there to be refilled
    space.close()
    return told


@pytest.mark.full
@pytest.mark.parametrize(("cap", "threshold"), [(50, 0.6), (10, 0.7)])
def test_of_generated_listeners_few_lists_are_refilled(tmp_path: Path, cap: int, threshold: float) -> None:
    """Waves of one per cent of changes, a third of the users in all: hardly a list is mined again."""
    users = 1200
    source = GeneratedAudience(users, seed=1)
    waves = (source.change(Mix(changing=0.008, joining=0.001, leaving=0.001)) for _ in range(30))
    policy = PairPolicy(similarity_threshold=threshold, max_positives_per_user=cap)
    group = FeatureGroup(name=listeners.GROUP, columns=listeners.COLUMNS)
    told = refills(tmp_path / "space", source, waves, group, policy)
    assert sum(changed for changed, _ in told) > users // 4
    assert all(refilled < users // 100 for _, refilled in told)
    assert sum(refilled for _, refilled in told) < users // 100


def test_where_listeners_only_leave_a_list_lasts_until_its_reserve_is_gone(tmp_path: Path) -> None:
    """The hardest there is: nobody comes near while a third go. Each list that was cut is refilled once or so."""
    users = 1200
    source = GeneratedAudience(users, seed=2)
    waves = (source.change(Mix(changing=0, joining=0, leaving=0.01)) for _ in range(40))
    policy = PairPolicy(similarity_threshold=0.7, max_positives_per_user=10)
    group = FeatureGroup(name=listeners.GROUP, columns=listeners.COLUMNS)
    told = refills(tmp_path / "space", source, waves, group, policy)
    assert not any(refilled for _, refilled in told[:5])
    assert 0 < sum(refilled for _, refilled in told) < users


@pytest.mark.full
@pytest.mark.skipif(not LOG.exists(), reason=f"the listening log of real users is not at hand: no {LOG}")
@pytest.mark.parametrize(("cap", "share"), [(50, 0.1), (10, 0.02)])
def test_of_real_listeners_few_lists_are_refilled(tmp_path: Path, cap: int, share: float) -> None:
    source = LastfmAudience(LOG, seed=1)
    users = len(source.initial().upserts)
    policy = PairPolicy(similarity_threshold=lastfm.SIMILARITY_THRESHOLD, max_positives_per_user=cap)
    group = FeatureGroup(name=lastfm.GROUP, columns=lastfm.COLUMNS)
    told = refills(tmp_path / "space", source, in_parts(source.waves(), round(share * users)), group, policy)
    assert sum(changed for changed, _ in told) > users // 2
    assert sum(refilled for _, refilled in told) < users // 100
