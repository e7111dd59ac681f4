"""Exact mining: the canonical similarity, blocks of rows, lists in order, and the memory that it takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from tests.models.pairs.test_graph import BLOCKS, ROWS, THRESHOLD, blocks_of, bounds_of, low_rank, random_axes, rows_of
from trainer.matrix.embeddings import Rows, UserMatrix
from trainer.pairs import mining
from trainer.pairs.bounds import Bounds, Projection
from trainer.pairs.bounds_tuning import choose_projection
from trainer.pairs.candidates import Sieve
from trainer.pairs.filters import DeviceRows, TooManyError
from trainer.pairs.graph import Graph, update_graph
from trainer.pairs.links import Links
from trainer.pairs.locality import near_together
from trainer.pairs.mining import mine_nearest, mine_similar
from trainer.pairs.negatives import draw_partners
from trainer.pairs.order import nearest_first
from trainer.pairs.precision import Precision
from trainer.pairs.short_rows import ShortRows
from trainer.pairs.similarity import similarity
from trainer.pairs.view import View

POLICY = PairPolicy(similarity_threshold=THRESHOLD, threads=2, block_megabytes=2)


def view_of(
    directions: Floats, kept: int | None = None, precision: Precision = Precision.FLOAT32, seed: int = 0
) -> View:
    count, width = directions.shape
    projection = (
        Projection.whole(width, precision) if kept is None else Projection(random_axes(seed, width, kept), precision)
    )
    return View(
        directions, bounds_of(directions, projection), np.random.default_rng(seed).permutation(count).astype(np.int64)
    )


@pytest.mark.parametrize("width", [1, 2, 6, 7, 8, 9, 100, 301])
def test_the_canonical_similarity_is_a_float64_product_symmetric_and_the_same_in_any_batch(width: int) -> None:
    draw = np.random.default_rng(width)
    rows = draw.normal(size=(500, width))
    directions = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    left, right = draw.integers(500, size=(2, 3000))
    found = similarity(directions, left, right)
    exact = np.einsum("ij,ij->i", directions[left].astype(np.longdouble), directions[right].astype(np.longdouble))
    np.testing.assert_allclose(found, exact.astype(np.float64), rtol=0, atol=1e-15)
    np.testing.assert_array_equal(found, similarity(directions, right, left))
    for start, stop in ((0, 1), (0, 2), (127, 128), (1, 130), (2871, 3000)):
        np.testing.assert_array_equal(found[start:stop], similarity(directions, left[start:stop], right[start:stop]))
    again = draw.permutation(3000)
    np.testing.assert_array_equal(found[again], similarity(directions, left[again], right[again]))
    moved = np.concatenate([np.zeros_like(directions[:3]), directions])
    np.testing.assert_array_equal(found, similarity(moved, left + 3, right + 3))
    assert len(similarity(directions, left[:0], right[:0])) == 0


def test_a_float32_product_is_as_near_to_the_canonical_similarity_as_it_is_said_to_be() -> None:
    for width in (1, 2, 6, 64, 301):
        directions = rows_of("sparse", width, 300, max(3, width))[:, :width]
        left, right = np.divmod(np.arange(300 * 300), 300)
        error = np.abs((directions @ directions.T).ravel() - similarity(directions, left, right))
        assert error.max() <= Precision.FLOAT32.error(width) < 1e-4


def test_a_similarity_on_the_line_is_decided_by_the_canonical_product() -> None:
    """At a threshold of exactly a pair's similarity the pair is out, a hair below it is in, whatever float32 says."""
    directions = rows_of("wide clusters", 9, 64)
    for row in range(64):
        others = np.delete(np.arange(64), row)
        exact = similarity(directions, np.full(63, row), others)
        best = float(exact.max())
        if not 0 < best < 1:
            continue
        for threshold, count in ((best, 0), (np.nextafter(best, 0), int((exact == best).sum()))):
            policy = PairPolicy(similarity_threshold=threshold, threads=1)
            for kept, precision in product((None, 1, 3, 5), Precision):
                view = view_of(directions, kept, precision)
                found = [len(source) for _, (source, _) in mine_similar(view, np.array([row]), policy)]
                assert found == [count]
                capped = [len(out) for _, (out, _) in mine_nearest(view, np.array([row]), policy, 70)]
                assert capped == [count]


@pytest.mark.full
@pytest.mark.parametrize("kind", ["clusters", "duplicates", "sparse", "dense", "on the line"])
@pytest.mark.parametrize("kept", [None, 1, 3])
@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("size", list(BLOCKS))
def test_mined_are_the_similar_of_each_row_and_whose_lists_it_may_be_in(
    kind: str, kept: int | None, size: str, precision: Precision
) -> None:
    depth = 6
    directions = rows_of(kind, 3, ROWS)
    view = view_of(directions, kept, precision)
    draw = np.random.default_rng(1)
    rows = draw.choice(ROWS, 30, replace=False)
    left, right = np.divmod(np.arange(ROWS * ROWS), ROWS)
    near = similarity(directions, left, right).reshape(ROWS, ROWS)
    np.fill_diagonal(near, -1)
    floor = np.where(draw.random(ROWS) < 0.3, np.inf, near[np.arange(ROWS), draw.integers(ROWS, size=ROWS)])
    floor[draw.random(ROWS) < 0.2] = -np.inf

    policy = POLICY.model_copy(update={"block_megabytes": 1, "threads": 1 if size == "one block" else 2})
    with blocks_of(*BLOCKS[size]):
        similar = list(mine_similar(view, rows, policy))
        nearest = list(mine_nearest(view, rows, policy, depth, floor))
        alone = list(mine_nearest(view, rows, policy, depth))
    assert sum(count for count, _ in similar) == sum(count for count, _ in nearest) == len(rows)
    pairs = [pair for _, (source, target) in similar for pair in zip(source.tolist(), target.tolist(), strict=True)]
    assert sorted(pairs) == sorted((row, other) for row in rows for other in np.flatnonzero(near[row] > THRESHOLD))

    out = Links.join([links for _, (links, _) in nearest])
    into = Links.join([links for _, (_, links) in nearest])
    assert sum(len(links) for _, (_, links) in alone) == 0
    np.testing.assert_array_equal(out.target, np.concatenate([links.target for _, (links, _) in alone]))
    for row in rows:
        first = np.lexsort((view.order, -near[row]))[: int((near[row] > THRESHOLD).sum())][:depth]
        assert out.target[out.source == row].tolist() == first.tolist()
        wanting = np.flatnonzero((near[row] > THRESHOLD) & (near[row] >= floor))
        assert sorted(into.source[into.target == row].tolist()) == wanting.tolist()
    for links in (out, into):
        np.testing.assert_array_equal(links.similarity, near[links.source, links.target])


@pytest.mark.parametrize(("count", "block"), [(60_000, [100]), (10_000, list(range(64)))])
def test_a_row_with_everybody_near_it_takes_no_memory_for_sixty_three_others(count: int, block: list[int]) -> None:
    """A row alone, and one of a block whose others have few neighbours; 2 MiB for blocks, and as much for the rest."""
    rows = np.zeros((count, 2), dtype=np.float32)
    rows[:, 0] = 1
    if len(block) > 1:
        rows[1:64] = [0, 1]
    policy = PairPolicy(similarity_threshold=0.5, block_megabytes=2, threads=1)
    view = view_of(rows)
    tracemalloc.start()
    try:
        found = [out for _, (out, _) in mine_nearest(view, np.array(block), policy, 10)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(map(len, found)) == 10 * len(block)
    assert peak < (2**22 if len(block) > 1 else 2**24)


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_the_memory_for_blocks_is_shared_among_the_threads(
    threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[tuple[int, bool]] = []

    class Noted(Sieve):
        def __init__(
            self,
            bounds: Bounds,
            threshold: float,
            memory: int,
            *,
            tables: bool = True,
            device: DeviceRows | None = None,
        ) -> None:
            shares.append((memory, tables))
            super().__init__(bounds, threshold, memory, tables=tables, device=device)

    monkeypatch.setattr(mining, "Sieve", Noted)
    monkeypatch.setattr(mining, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr("trainer.pairs.mining.os.sched_getaffinity", lambda _process: set(range(5)))
    policy = PairPolicy(similarity_threshold=THRESHOLD, threads=threads, block_megabytes=7)
    view = view_of(rows_of("clusters", 0, 50))
    assert list(mine_similar(view, np.arange(50), policy))
    assert shares == [(7 * 2**20 // (threads or 5), False)] * (threads or 5)
    shares.clear()
    assert list(mine_nearest(view, np.arange(50), policy, 5))
    assert shares == [(7 * 2**20 // (threads or 5), True)] * (threads or 5)  # whose lists are cut in tables


def test_a_few_rows_are_mined_without_starting_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "ThreadPoolExecutor", None)
    policy = PairPolicy(similarity_threshold=THRESHOLD, threads=8)
    assert list(mine_similar(view_of(rows_of("clusters", 0, 50)), np.arange(50), policy))


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("kept", [None, 2])
def test_rows_are_arranged_only_where_that_is_cheap(
    kept: int | None, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all coordinates it would take longer than it saves."""
    arranged: list[int] = []

    def noted(points: Callable[[Rows], Floats], count: int, size: int) -> Rows:
        arranged.append(size)
        return near_together(points, count, size)

    monkeypatch.setattr(mining, "near_together", noted)
    view = view_of(rows_of("clusters", 0, 200), kept, precision)
    with blocks_of(8, 8192, 8192):
        for count in (200, 16):
            assert list(mine_similar(view, np.arange(count), POLICY))
    assert arranged == ([] if kept is None else [8])  # and sixteen rows are too few


def test_blocks_that_are_not_done_do_not_stop_the_next_mining() -> None:
    view = view_of(rows_of("clusters", 0, 400))
    blocks = mine_similar(view, np.arange(400), POLICY)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert sum(count for count, _ in mine_similar(view, np.arange(400), POLICY)) == 400


def test_an_error_in_a_block_comes_out() -> None:
    view = view_of(rows_of("clusters", 0, 40))
    broken = View(view.directions[:5], view.bounds, view.order)
    with pytest.raises(IndexError):
        list(mine_nearest(broken, np.arange(40), POLICY, 5))


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_lists_are_nearest_first_and_ties_by_id(depth: int) -> None:
    draw = np.random.default_rng(depth)
    source = draw.choice(np.array([2, 3, 7, 40_000], dtype=np.int32), 2000)
    links = Links(source, np.arange(2000, dtype=np.int32), np.round(draw.uniform(0.5, 1, size=2000), 2))
    rank = draw.permutation(2000)
    expected = [
        (int(source), int(target))
        for row in np.unique(links.source)
        for source, _, _, target in sorted(
            (row, -links.similarity[at], rank[at], at) for at in np.flatnonzero(links.source == row)
        )[:depth]
    ]
    for rows_at_a_time in (1, 2, 4096):
        with blocks_of(rows_at_a_time, 8192, 8192):
            found = nearest_first(links, rank, depth)
        assert list(zip(found.source.tolist(), found.target.tolist(), strict=True)) == expected
        np.testing.assert_array_equal(found.similarity, links.similarity[found.target])
    assert len(nearest_first(Links.join([]), rank, depth)) == 0


def test_lists_of_more_sources_than_sixteen_bits_can_tell_apart() -> None:
    source = np.arange(70_000, dtype=np.int32)[::-1]
    links = Links(np.concatenate([source, source]), np.arange(140_000, dtype=np.int32), np.linspace(0, 1, 140_000))
    found = nearest_first(links, np.arange(140_000), 1)
    np.testing.assert_array_equal(found.source, np.arange(70_000))
    np.testing.assert_array_equal(found.target, 139_999 - np.arange(70_000))


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 3), (3, 3), (4, 3), (1000, 64), (640, 64), (500, 1)])
def test_rows_arranged_near_together_are_the_same_rows_and_their_groups_are_narrower(count: int, size: int) -> None:
    points = rows_of("wide clusters", 5, count)
    arranged = near_together(lambda rows: points[rows], count, size)
    assert sorted(arranged.tolist()) == list(range(count))
    if count < 5 * size:
        return

    def spread(order: Rows) -> float:
        return float(np.mean([points[order[at : at + size]].var(axis=0).sum() for at in range(0, count, size)]))

    assert size == 1 or spread(arranged) < 0.6 * spread(np.arange(count))


@pytest.mark.parametrize("precision", Precision)
def test_what_a_sieve_holds_fits_the_memory_it_was_given(precision: Precision) -> None:
    bounds = bounds_of(rows_of("dense", 0, 30_000, 20), Projection.whole(20, precision))
    for memory in (2**12, 2**20, 2**23):
        tracemalloc.start()
        try:
            sieve = Sieve(bounds, THRESHOLD, memory)
            assert tracemalloc.get_traced_memory()[0] <= memory // 2 + 2000
        finally:
            tracemalloc.stop()
        assert memory // 2 // 64 <= sieve._room <= memory // 2 // 44  # what a candidate takes at least


@pytest.mark.parametrize("cap", [None, 20])
def test_a_change_of_few_does_not_copy_the_matrix(tmp_path: Path, cap: int | None) -> None:
    """The mapped matrix is 24 MB; what an update takes beside it are blocks, lists and masks."""
    count, width = 20_000, 301
    everyone, some = np.arange(count), np.arange(0, count, 100)
    rows = low_rank(0, count, width, 14)
    for name in ("raw.f32", "direction.f32"):
        rows.tofile(tmp_path / name)
    matrix = UserMatrix(tmp_path, width)
    directions = matrix.directions
    assert directions.shape == rows.shape
    policy = PairPolicy(similarity_threshold=0.85, max_positives_per_user=cap, block_megabytes=1, threads=2)
    short = ShortRows(tmp_path)
    assert short.recreate(directions, everyone, policy).short.shape[1] < 100
    for plain in (True, False):
        tracemalloc.start()
        try:
            bounds = Bounds.plain(directions) if plain else short.current(directions, some, everyone, policy)
            update = update_graph(Graph.empty(policy), View(directions, bounds, everyone), some, policy)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert update.mined == len(some)
        assert len(update.graph.codes())
        assert peak < rows.nbytes / 4
    matrix.close()


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("kept", [None, 2])
def test_partners_drawn_with_bounds_are_those_drawn_without(kept: int | None, precision: Precision) -> None:
    view = view_of(rows_of("dense", 3, 300), kept, precision)
    pair_users, pool = np.repeat(np.arange(300), 3), np.arange(300)
    drawn = [
        draw_partners(view.directions, pair_users, pool, THRESHOLD, np.random.default_rng(1), bounds)
        for bounds in (None, view.bounds)
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    found = drawn[0] >= 0
    assert found.any()
    assert (similarity(view.directions, pair_users[found], drawn[0][found]) <= THRESHOLD).all()


@pytest.mark.parametrize("precision", Precision)
def test_candidates_for_whom_there_is_no_room_are_not_spread_out_first(precision: Precision) -> None:
    rows = np.tile(np.eye(1, 4, dtype=np.float32), (8192, 1))  # everybody is similar to everybody
    sieve = Sieve(bounds_of(rows, Projection.whole(4, precision)), THRESHOLD, 2**24)
    tracemalloc.start()
    try:
        with pytest.raises(TooManyError):
            sieve.candidates(np.arange(256))
        assert tracemalloc.get_traced_memory()[1] < 2**24  # their places alone would take as much
    finally:
        tracemalloc.stop()


def test_coarse_numbers_that_would_have_no_line_are_not_chosen_even_where_they_would_be_cheapest() -> None:
    rows = np.random.default_rng(0).normal(1, 0.1, size=(500, 40))
    alike = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    processor = (Precision.FLOAT32, Precision.BFLOAT16)
    assert choose_projection(alike, np.arange(500), 0.5, None, processor).precision is Precision.BFLOAT16
    assert choose_projection(alike, np.arange(500), 0.005, None, processor).precision is Precision.FLOAT32
    for threshold in (0.5, 0.001):  # of TF32 a line may lie anywhere
        chosen = choose_projection(alike, np.arange(500), threshold, None, (Precision.TF32,))
        assert chosen.precision is Precision.TF32
