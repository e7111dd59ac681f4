"""P3: after any history of upserts and deletes the maintained graph is the one that its definition gives.

Whatever the path: incremental or full, bounds by any axes and in any precision, or the plain product, blocks of any
size, any threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
import tensorflow  # noqa: F401  # whose products those of bfloat16 are
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.pairs import candidates as mining_candidates
from trainer.pairs import mining, order
from trainer.pairs.bounds import Axes, Bounds, Projection
from trainer.pairs.bounds_tuning import choose_projection
from trainer.pairs.graph import Graph, GraphUpdate, update_graph
from trainer.pairs.nearest import depth_of
from trainer.pairs.precision import Precision
from trainer.pairs.similarity import similarity
from trainer.pairs.view import View

WIDTH = 6
ROWS = 48  # of the small worlds
CAPS = (None, 1, 2, 5, 200)
KINDS = ("clusters", "wide clusters", "duplicates", "dense", "sparse", "on the line")
THRESHOLD = 0.9


def rows_of(kind: str, seed: int, count: int, width: int = WIDTH) -> Floats:
    """Unit rows of one kind; some have no direction.

    Of "duplicates" every list is a tie, of "dense" everybody is similar, and "on the line" lie pairs whose similarity
    is the threshold but for the last bits.
    """
    draw = np.random.default_rng(seed)
    centres = np.eye(width)[:3] + 0.4
    if kind == "sparse":
        rows = draw.normal(size=(count, width))
    elif kind == "dense":
        rows = np.ones(width) + 0.05 * draw.normal(size=(count, width))
    elif kind == "on the line":
        # Around the first axis, or at an angle to it whose cosine is the threshold.
        aside = draw.normal(size=(count, width))
        aside[:, 0] = 0.0
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        angle = np.arccos(THRESHOLD) * draw.integers(2, size=(count, 1))
        rows = np.sin(angle) * aside + np.cos(angle) * np.eye(width)[0]
    else:
        spread = {"clusters": 0.05, "wide clusters": 0.3, "duplicates": 0.0}[kind]
        rows = centres[draw.integers(3, size=count)] + spread * draw.normal(size=(count, width))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[draw.random(count) < 0.05] = 0.0
    return rows.astype(np.float32)


def low_rank(seed: int, count: int, width: int, rank: int) -> Floats:
    """Unit rows that vary along a few directions and hardly along the others."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(count, rank)) @ draw.normal(size=(rank, width)) + 0.05 * draw.normal(size=(count, width))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def random_axes(seed: int, width: int, kept: int) -> Axes:
    """Axes that have nothing to do with any data."""
    turned = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]
    return np.ascontiguousarray(turned[:, :kept])


def principal_axes(rows: Floats, kept: int) -> Axes:
    """The best axes for `rows`; for others they are stale."""
    full = rows.astype(np.float64)
    return np.ascontiguousarray(np.linalg.eigh(full.T @ full)[1][:, ::-1][:, :kept])


def bounds_of(directions: Floats, projection: Projection) -> Bounds:
    """What a space keeps of them."""
    return projection.bounds(projection.shorten(directions))


@contextmanager
def blocks_of(rows: int, columns: int, candidates_in_a_megabyte: int) -> Iterator[None]:
    """Blocks of another size: of so many rows and columns at most, and halved where there are more candidates."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (mining, mining_candidates):
            patch.setattr(module, "BLOCK_ROWS", rows)
        patch.setattr(mining_candidates, "_COLUMNS", columns)
        patch.setattr(mining_candidates, "_BYTES_PER_CANDIDATE", 2**19 // candidates_in_a_megabyte)
        patch.setattr(mining, "_WORTH_ARRANGING", 2 * rows)
        patch.setattr(mining, "_WORTH_A_THREAD", 1)
        patch.setattr(order, "_ROWS_AT_A_TIME", rows)
        yield


BLOCKS = {
    "one block": (64, 8192, 8192),
    "columns split": (16, 7, 8192),
    "halved again and again": (10, 20, 12),
}


@dataclass
class World:
    """A matrix that grows, whose ids are in another order than its rows, and the graph that follows it.

    The rank of nobody means nothing, and whoever takes a free row has an id of their own.
    """

    policy: PairPolicy
    projection: Projection = field(default_factory=lambda: Projection.whole(WIDTH))
    seed: int = 0
    directions: Floats = field(default_factory=lambda: np.zeros((1, WIDTH), dtype=np.float32))
    ids: dict[int, float] = field(default_factory=dict)
    graph: Graph = field(init=False)
    last_view: View = field(init=False)

    def __post_init__(self) -> None:
        self.graph = Graph.empty(self.policy)
        self._draw = np.random.default_rng(self.seed)

    def change(self, rows: Rows, new: Floats, delete: bool = False) -> GraphUpdate:
        """Give users new rows, newcomers among them; or delete them."""
        if len(rows) and rows.max() >= len(self.directions):
            more = np.zeros((int(rows.max()) + 3 - len(self.directions), self.directions.shape[1]), dtype=np.float32)
            self.directions = np.concatenate([self.directions, more])
        self.directions[rows] = 0.0 if delete else new
        for row in rows.tolist():
            if delete:
                self.ids.pop(row, None)
            else:
                self.ids.setdefault(row, self._draw.random())
        self.last_view = self.view()
        update = update_graph(self.graph, self.last_view, rows, self.policy)
        self.graph = update.graph
        return update

    def view(self) -> View:
        rank = self._draw.integers(-5, 5 * len(self.directions), size=len(self.directions))
        by_id = sorted(self.ids, key=lambda row: self.ids[row])
        rank[by_id] = np.arange(len(by_id))
        return View(self.directions, bounds_of(self.directions, self.projection), rank)

    def afresh(self) -> Graph:
        """The graph of the same users by the plain product, from scratch."""
        view = View(self.directions, Bounds.plain(self.directions), self.view().order)
        everyone = np.array(sorted(self.ids), dtype=np.int64)
        return update_graph(Graph.empty(self.policy), view, everyone, self.policy).graph


def similar_to(world: World, row: int) -> list[int]:
    """The users similar to one, nearest first, ties by id: canonical similarities, in plain Python."""
    near = similarities(world)[row].tolist()
    similar = [other for other in world.ids if other != row and near[other] > world.policy.similarity_threshold]
    return sorted(similar, key=lambda other: (-near[other], world.ids[other]))


def similarities(world: World) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    count = len(world.directions)
    left, right = np.divmod(np.arange(count * count), count)
    return similarity(world.directions, left, right).reshape(count, count)


def by_definition(world: World) -> set[tuple[int, int]]:
    """The pairs, spelled out: lists by (similarity, id), pairs of either list."""
    near = similarities(world)
    pairs: set[tuple[int, int]] = set()
    for row, mine in enumerate(near.tolist()):
        similar = [other for other in world.ids if other != row and mine[other] > world.policy.similarity_threshold]
        similar.sort(key=lambda other: (-mine[other], world.ids[other]))
        pairs |= {(min(row, other), max(row, other)) for other in similar[: world.policy.max_positives_per_user]}
    return pairs


def as_set(pairs: Rows) -> set[tuple[int, int]]:
    return {(int(one), int(other)) for one, other in pairs}


def check_lists(world: World) -> None:
    """What trainer.pairs.nearest promises of its lists, row by row, against the definition."""
    lists, cap = world.graph.lists, world.policy.max_positives_per_user
    if cap is None:
        assert len(lists.links) == 0
        return
    links = lists.links
    assert (np.diff(links.source) >= 0).all()
    np.testing.assert_array_equal(links.similarity, similarity(world.directions, links.source, links.target))
    assert len(lists.floor) == len(lists.end) == len(world.directions)
    for row in range(len(world.directions)):
        similar = similar_to(world, row) if row in world.ids else []
        mine = links.target[links.source == row].tolist()
        near = similarity(world.directions, np.full(len(similar), row), np.array(similar, dtype=np.int64)).tolist()
        end = int(lists.end[row])
        if end < 0:  # never cut: everybody
            assert lists.floor[row] == -np.inf
            known = len(similar)
        else:  # up to the last member
            assert end == mine[-1]
            known = similar.index(end) + 1
            assert lists.floor[row] == near[known - 1]
        assert mine == similar[:known]
        assert len(mine) <= depth_of(cap)
        assert len(mine) >= min(cap, len(similar))


steps = st.tuples(
    st.lists(st.integers(0, ROWS - 1), unique=True, max_size=ROWS), st.sampled_from(["write", "delete", "zero"])
)
any_axes = st.one_of(
    st.just(np.eye(WIDTH)),
    st.builds(random_axes, st.integers(0, 9), st.just(WIDTH), st.integers(1, WIDTH)),
    st.builds(
        lambda kind, seed, kept: principal_axes(rows_of(kind, seed, ROWS), kept),
        st.sampled_from(KINDS),
        st.integers(0, 9),
        st.integers(1, WIDTH - 1),
    ),
)
projections = st.builds(Projection, any_axes, st.sampled_from(Precision))


@given(
    beginning=st.integers(0, ROWS),
    history=st.lists(steps, max_size=5),
    cap=st.sampled_from(CAPS),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=2),
    projection=projections,
    blocks=st.sampled_from(list(BLOCKS)),
    threads=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=150, deadline=None)
def test_incremental_equals_full(
    beginning: int,
    history: list[tuple[list[int], str]],
    cap: int | None,
    kinds: list[str],
    projection: Projection,
    blocks: str,
    threads: int,
    seed: int,
) -> None:
    policy = PairPolicy(
        similarity_threshold=THRESHOLD, max_positives_per_user=cap, block_megabytes=threads, threads=threads
    )
    world = World(policy, projection, seed)
    everybody: tuple[list[int], str] = (list(range(beginning)), "write")
    with blocks_of(*BLOCKS[blocks]):
        for number, (rows, how) in enumerate([everybody, *history]):
            new = rows_of(kinds[number % len(kinds)], seed + number, len(rows))
            world.change(np.array(rows, dtype=np.int64), new * np.float32(how != "zero"), delete=how == "delete")
            defined = by_definition(world)
            assert as_set(world.graph.pairs()) == as_set(world.afresh().pairs()) == defined
            check_lists(world)
            touching = np.arange(len(world.directions)) % 5 == number
            some = {pair for pair in defined if touching[list(pair)].any()}
            assert as_set(world.graph.pairs(touching)) == some


LARGER = [
    # users, width, kind, cap, axes kept
    (2000, 24, "wide clusters", 7, 12),
    (700, 24, "clusters", 7, 6),
    (2000, 24, "wide clusters", None, 12),
    (3000, 301, "sparse", 20, 200),
    (900, 24, "duplicates", 5, 3),
    (900, 24, "duplicates", None, 3),
    (900, 24, "dense", 30, 2),
    (900, 24, "dense", None, 2),
    (1000, 12, "on the line", 400, 4),
    (1000, 12, "on the line", None, 4),
    (1000, 12, "on the line", 20, 12),
    (700, 301, "clusters", 20, 301),
]


@pytest.mark.full
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize(("count", "width", "kind", "cap", "kept"), LARGER)
def test_incremental_equals_full_for_more_users(
    count: int, width: int, kind: str, cap: int | None, kept: int, precision: Precision
) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=cap, block_megabytes=1, threads=3)
    axes = principal_axes(rows_of(kind, 0, 200, width), kept)
    world = World(policy, Projection(axes, precision), directions=np.zeros((1, width), dtype=np.float32))
    draw = np.random.default_rng(count)
    world.change(np.arange(count), rows_of(kind, 1, count, width))
    assert np.array_equal(world.graph.codes(), world.afresh().codes())
    for wave in range(2):
        some = draw.choice(count + 50, 60, replace=False)
        world.change(some[:40], rows_of(kind, 2 + wave, 40, width))
        world.change(some[30:], rows_of(kind, 9, 30, width), delete=True)
    assert np.array_equal(world.graph.codes(), world.afresh().codes())
    assert len(world.graph.codes()) or kind == "sparse"


def test_of_a_hundred_kinds_of_users_no_pair_is_missing_at_any_threshold() -> None:
    for seed in range(100):
        draw = np.random.default_rng(seed)
        width = int(draw.integers(1, 9))
        rows = draw.normal(size=(40, width)) * draw.random(width) ** 4
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        policy = PairPolicy(similarity_threshold=draw.uniform(0.01, 0.999), max_positives_per_user=None)
        axes = random_axes(seed, width, int(draw.integers(1, width + 1)))
        for precision in Precision:
            world = World(policy, Projection(axes, precision), directions=np.zeros((1, width), dtype=np.float32))
            world.change(np.arange(40), rows.astype(np.float32))
            assert as_set(world.graph.pairs()) == by_definition(world)


def plane(angles: list[float]) -> Floats:
    rows = np.zeros((len(angles), WIDTH), dtype=np.float32)
    rows[:, 0], rows[:, 1] = np.cos(angles), np.sin(angles)
    return rows


def test_a_full_list_that_loses_a_member_takes_in_the_next_in_line() -> None:
    world = World(PairPolicy(similarity_threshold=0.5, max_positives_per_user=1))
    world.change(np.arange(4), plane([0.0, 0.1, 0.3, 0.6]))
    assert as_set(world.graph.pairs()) == {(0, 1), (1, 2), (2, 3)}
    world.change(np.array([1]), plane([0.0]), delete=True)
    assert as_set(world.graph.pairs()) == {(0, 2), (2, 3)}


def test_a_pair_is_kept_when_only_one_of_the_two_has_the_other_in_its_list() -> None:
    world = World(PairPolicy(similarity_threshold=0.5, max_positives_per_user=1))
    world.change(np.arange(3), plane([0.0, 0.2, 0.3]))
    assert as_set(world.graph.pairs()) == {(0, 1), (1, 2)}  # of 0 the nearest is 1, of 1 it is 2


def test_ties_at_the_cap_are_broken_by_id_and_not_by_row() -> None:
    world = World(PairPolicy(similarity_threshold=0.5, max_positives_per_user=1))
    world.ids = {0: 0.5, 1: 0.9, 2: 0.7, 3: 0.1}
    world.change(np.arange(4), plane([0.0, 0.0, 0.0, 0.0]))
    assert as_set(world.graph.pairs()) == {(0, 3), (1, 3), (2, 3)}


def test_a_user_who_comes_into_a_tie_whose_last_member_has_changed_takes_their_place_in_it() -> None:
    """Ten users tie and the list ends among them. Its end leaves; a newcomer ties too, and comes before all by id."""
    world = World(PairPolicy(similarity_threshold=0.5, max_positives_per_user=1))
    world.ids = {row: row / 20 for row in range(12)}
    world.change(np.arange(12), plane([0.0] * 12))
    end = int(world.graph.lists.end[11])
    assert end == depth_of(1) - 1
    world.change(np.array([end]), plane([2.0]))
    check_lists(world)
    world.ids[12] = -1.0
    world.change(np.array([12]), plane([0.0]))
    check_lists(world)
    assert as_set(world.graph.pairs()) == by_definition(world)


def test_the_numbers_of_an_update_are_those_of_rows_with_a_direction() -> None:
    world = World(PairPolicy(similarity_threshold=0.5, max_positives_per_user=3))
    assert world.change(np.arange(5), plane([0.0] * 5)).mined == 5
    update = world.change(np.array([0, 1, 7]), np.array([1, 0, 1], dtype=np.float32)[:, None] * plane([0.0] * 3))
    assert (update.mined, update.refilled) == (2, 0)
    assert world.change(np.array([2, 3]), plane([0.0] * 2), delete=True).mined == 0


@pytest.mark.parametrize("cap", [None, 2])
def test_progress_is_told_up_to_the_last_row(cap: int | None) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=cap, threads=2)
    told: list[tuple[int, int]] = []
    world = World(policy)
    world.change(np.arange(300), rows_of("clusters", 0, 300))
    alive = int(world.directions.any(axis=1).sum())
    update_graph(Graph.empty(policy), world.view(), np.arange(300), policy, lambda done, of: told.append((done, of)))
    assert [of for _, of in told] == [alive] * len(told)
    done = [done for done, _ in told]
    assert done == sorted(done)
    assert done[-1] == alive
    assert len(done) > 1


@pytest.mark.parametrize("cap", [None, 1, 5])
def test_a_graph_is_the_same_after_it_was_stored(cap: int | None) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=cap)
    stored = World(policy)
    stored.change(np.arange(ROWS), rows_of("wide clusters", 4, ROWS))
    before, arrays = stored.graph, stored.graph.arrays()
    stored.graph = Graph.of(policy, arrays)
    np.testing.assert_array_equal(stored.graph.lists.floor, before.lists.floor)
    np.testing.assert_array_equal(stored.graph.lists.end, before.lists.end)
    np.testing.assert_array_equal(stored.graph.lists.links.similarity, before.lists.links.similarity)
    assert as_set(stored.graph.pairs()) == by_definition(stored)
    check_lists(stored)
    stored.change(np.arange(0, ROWS, 3), rows_of("wide clusters", 5, ROWS // 3))
    assert as_set(stored.graph.pairs()) == by_definition(stored)
    for name in arrays:
        with pytest.raises(KeyError, match=name):
            Graph.of(policy, {other: array for other, array in arrays.items() if other != name})


@pytest.mark.parametrize("cap", [None, 3])
def test_pairs_come_sorted_each_once_the_smaller_row_first(cap: int | None) -> None:
    world = World(PairPolicy(similarity_threshold=0.5, max_positives_per_user=cap))
    world.change(np.arange(ROWS), rows_of("wide clusters", 6, ROWS))
    world.change(np.arange(10), rows_of("wide clusters", 7, 10))
    pairs = world.graph.pairs()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert [tuple(pair) for pair in pairs.tolist()] == sorted(as_set(pairs))
    codes = world.graph.codes()
    np.testing.assert_array_equal(codes, pairs[:, 0] * 2**32 + pairs[:, 1])
    assert len(world.graph.pairs(np.zeros(len(world.directions), dtype=bool))) == 0
    np.testing.assert_array_equal(world.graph.pairs(np.ones(len(world.directions), dtype=bool)), pairs)


@pytest.mark.parametrize("threshold", [1e-9, 1e-6, 1e-4, 0.004, 0.011, 0.0122, 0.0123, 0.013])
@pytest.mark.parametrize("cap", [None, 200])
def test_no_pair_is_missing_at_thresholds_about_as_small_as_the_error_of_bounds(
    threshold: float, cap: int | None
) -> None:
    """Where the line that products have to be above lies at zero or below it, bfloat16 has none and is not chosen."""
    draw = np.random.default_rng(7)
    rows = draw.normal(size=(60, WIDTH))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    near = draw.uniform(-3, 3, size=(30, 1)) * threshold  # of each of the second half to one of the first
    rows[30:] += (near - (rows[30:] * rows[:30]).sum(axis=1, keepdims=True)) * rows[:30]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    policy = PairPolicy(similarity_threshold=threshold, max_positives_per_user=cap)
    chosen = choose_projection(rows.astype(np.float32), np.arange(60), threshold, cap, tuple(Precision))
    projections = [chosen, *(Projection(random_axes(3, WIDTH, kept)) for kept in (2, WIDTH))]
    if threshold > Precision.BFLOAT16.error(WIDTH):
        projections += [Projection(projection.axes, Precision.BFLOAT16) for projection in projections]
    else:
        assert chosen.precision is not Precision.BFLOAT16
    for projection in projections:
        world = World(policy, projection)
        world.change(np.arange(60), rows.astype(np.float32))
        assert as_set(world.graph.pairs()) == by_definition(world)


@pytest.mark.parametrize("cap", [None, 8])
@pytest.mark.parametrize("precisions", [None, (Precision.FLOAT32,), (Precision.BFLOAT16,), tuple(Precision)])
def test_a_projection_chosen_from_the_data_gives_the_same_graph(
    cap: int | None, precisions: tuple[Precision, ...] | None
) -> None:
    policy = PairPolicy(similarity_threshold=THRESHOLD, max_positives_per_user=cap)
    for rows in (low_rank(8, 1000, 40, 6), rows_of("clusters", 1, 1000, 40), rows_of("wide clusters", 2, 1000, 40)):
        projection = choose_projection(rows, np.arange(1000), THRESHOLD, cap, precisions)
        world = World(policy, projection, directions=rows[:1] * np.float32(0))
        world.change(np.arange(1000), rows)
        assert len(world.graph.codes())
        assert np.array_equal(world.graph.codes(), world.afresh().codes())
