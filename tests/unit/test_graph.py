"""P3: after any history of upserts and deletes the maintained graph is the one a recomputation gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.policies import PairPolicy
from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.pairs.graph import empty_graph, pairs_of, update_graph
from trainer.pairs.mining import Links, mine, similarity

CAPACITY = 48
WIDTH = 6

RANKS = np.random.default_rng(5).permutation(CAPACITY).astype(np.int64)


def directions_of(seed: int, count: int, spread: float) -> Floats:
    """Unit rows around three centres; with no spread they are exact duplicates, which makes every list a tie."""
    generator = np.random.default_rng(seed)
    centres = np.eye(WIDTH)[:3] + 0.4
    rows = centres[generator.integers(3, size=count)] + spread * generator.normal(size=(count, WIDTH))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[generator.random(count) < 0.05] = 0.0  # some have no direction
    return rows.astype(np.float32)


@dataclass
class World:
    """A matrix with free rows, whose ids are in another order than its rows."""

    directions: Floats = field(default_factory=lambda: np.zeros((CAPACITY, WIDTH), dtype=np.float32))
    order: Rows = field(default_factory=RANKS.copy)
    links: Links = field(default_factory=empty_graph)

    def change(self, policy: PairPolicy, rows: Rows, new: Floats) -> int:
        self.directions[rows] = new
        there, everyone = self.directions.any(axis=1), np.arange(CAPACITY)
        # The rank of nobody means nothing; whoever comes back has one of their own again.
        self.order = np.where(there, RANKS, np.where(everyone % 2, -1, 10 * CAPACITY))
        update = update_graph(self.links, self.directions, rows, self.order, policy)
        self.links = update.links
        return update.refilled


def brute_force(world: World, policy: PairPolicy) -> set[tuple[int, int]]:
    """The definition, spelled out: canonical similarities, lists by (similarity, id), pairs of either list."""
    pairs: set[tuple[int, int]] = set()
    everyone = np.arange(CAPACITY)
    for row in range(CAPACITY):
        near = similarity(world.directions, np.full(CAPACITY, row), everyone)
        similar = [j for j in range(CAPACITY) if j != row and near[j] > policy.similarity_threshold]
        similar.sort(key=lambda j: (-near[j], world.order[j]))
        pairs |= {(min(row, j), max(row, j)) for j in similar[: policy.max_positives_per_user]}
    return pairs


def as_set(links: Links) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in pairs_of(links)}


changes = st.tuples(st.lists(st.integers(0, CAPACITY - 1), unique=True, max_size=CAPACITY), st.booleans())


@given(
    history=st.lists(changes, max_size=6),
    cap=st.sampled_from([None, 1, 2, 5, 200]),
    spread=st.sampled_from([0.0, 0.05, 0.3]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=150, deadline=None)
def test_incremental_equals_full(
    history: list[tuple[list[int], bool]], cap: int | None, spread: float, seed: int
) -> None:
    policy = PairPolicy(similarity_threshold=0.9, max_positives_per_user=cap)
    world = World()
    world.change(policy, np.arange(CAPACITY), directions_of(seed, CAPACITY, spread))
    for number, (rows, delete) in enumerate(history):
        new = directions_of(seed + number + 1, len(rows), spread) * (0.0 if delete else 1.0)
        world.change(policy, np.array(rows, dtype=np.int64), new.astype(np.float32))
        afresh = World(directions=world.directions.copy(), order=world.order)
        afresh.change(policy, np.arange(CAPACITY), world.directions)
        assert as_set(world.links) == as_set(afresh.links) == brute_force(world, policy)


def test_a_full_list_that_loses_a_member_takes_in_the_next_in_line() -> None:
    policy = PairPolicy(similarity_threshold=0.5, max_positives_per_user=1)
    angles = np.array([0.0, 0.1, 0.3, 0.6])
    world = World()
    rows = np.arange(4)
    plane = np.zeros((4, WIDTH), dtype=np.float32)
    plane[:, 0], plane[:, 1] = np.cos(angles), np.sin(angles)
    world.change(policy, rows, plane)
    assert as_set(world.links) == {(0, 1), (1, 2), (2, 3)}
    assert world.change(policy, np.array([1]), np.zeros((1, WIDTH), dtype=np.float32)) >= 1
    assert as_set(world.links) == {(0, 2), (2, 3)}


def test_a_change_that_touches_nobody_refills_nothing() -> None:
    policy = PairPolicy(similarity_threshold=0.9, max_positives_per_user=2)
    world = World()
    world.change(policy, np.arange(40), directions_of(1, 40, 0.05))
    lonely = np.zeros((1, WIDTH), dtype=np.float32)
    lonely[0, 5] = -1.0
    assert world.change(policy, np.array([45]), lonely) == 0


@pytest.mark.parametrize("megabytes", [1, 2, 64])
def test_the_size_of_a_block_does_not_matter(megabytes: int) -> None:
    directions = directions_of(3, 3000, 0.1)
    results = []
    for size in (megabytes, 8):
        policy = PairPolicy(similarity_threshold=0.97, max_positives_per_user=7, block_megabytes=size)
        update = update_graph(empty_graph(), directions, np.arange(3000), np.arange(3000), policy)
        results.append(update.links)
    assert np.array_equal(results[0].target, results[1].target)
    assert np.array_equal(results[0].similarity, results[1].similarity)


def test_a_similarity_on_the_line_is_decided_by_the_canonical_product() -> None:
    """At a threshold of exactly a pair's similarity the pair is out, a hair below it is in, whatever float32 says."""
    directions = directions_of(9, 64, 0.2)
    for row in range(64):
        others = np.delete(np.arange(64), row)
        exact = similarity(directions, np.full(63, row), others)
        best = float(exact.max())
        if not 0 < best < 1:
            continue
        for threshold, count in ((best, 0), (np.nextafter(best, 0), int((exact == best).sum()))):
            policy = PairPolicy(similarity_threshold=threshold, max_positives_per_user=None)
            found = [links for _, links, _ in mine(directions, np.array([row]), policy)]
            assert sum(len(links) for links in found) == count


def test_the_canonical_similarity_is_a_float64_product_and_symmetric() -> None:
    directions = directions_of(11, 500, 0.3)
    left, right = np.random.default_rng(0).integers(500, size=(2, 9000))
    found = similarity(directions, left, right)
    exact = np.einsum("ij,ij->i", directions[left].astype(np.longdouble), directions[right].astype(np.longdouble))
    np.testing.assert_allclose(found, exact.astype(np.float64), atol=1e-15)
    np.testing.assert_array_equal(found, similarity(directions, right, left))
    np.testing.assert_array_equal(found[:1], similarity(directions, left[:1], right[:1]))
