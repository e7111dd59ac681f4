"""The pairs of any users, and the nearest of any embeddings, are the same with one, two and four workers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import trainer.exam.retrieval
from schemas.policies import PairPolicy
from tests.integration.ray.cluster import workers_of
from tests.integration.ray.test_mining import same
from tests.models.pairs.test_mining import view_of
from trainer.distributed.mining import RayEngine
from trainer.distributed.workers import RayWorkers
from trainer.exam import parts
from trainer.exam.parts import search
from trainer.pairs.graph import Graph, GraphUpdate, update_graph

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

WIDTH = 12

few_examples = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", params=[(1,), (1, 1), (2, 2)], ids=["one", "two", "four"])
def workers(request: pytest.FixtureRequest) -> Iterator[None]:
    pytest.importorskip("ray")
    with workers_of(request.param):
        yield


@pytest.fixture(scope="module", autouse=True)
def _many_parts_and_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parts, "_PART", 13)
        patched.setattr(trainer.exam.retrieval, "_BLOCK_ROWS", 80)
        yield


@few_examples
@given(
    users=st.integers(2, 900),
    cap=st.sampled_from([None, 1, 5]),
    kept=st.sampled_from([None, 4]),
    changed=st.integers(1, 40),
    seed=st.integers(0, 10**6),
)
def test_any_graph_is_that_of_this_process(
    workers: None, users: int, cap: int | None, kept: int | None, changed: int, seed: int
) -> None:
    draw, policy = np.random.default_rng(seed), PairPolicy(max_positives_per_user=cap)
    tastes = draw.normal(size=(7, WIDTH))
    rows = tastes[draw.integers(7, size=users)] + 0.3 * draw.normal(size=(users, WIDTH))
    rows[::5] = rows[0]  # ties
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    engine = RayEngine(f"{users}-{seed}", lambda: None, worth=0)
    ours = local = GraphUpdate(Graph.empty(policy), 0, 0)
    moved = np.arange(users)
    for _ in range(2):
        view = view_of(rows, kept=kept)
        ours = update_graph(ours.graph, view, moved, policy, engine=engine)
        local = update_graph(local.graph, view, moved, policy)
        same(ours, local)
        moved = np.sort(draw.choice(users, min(changed, users), replace=False))
        rows = rows.copy()
        rows[moved] = rows[draw.permutation(moved)]


@few_examples
@given(users=st.integers(1, 300), asked=st.integers(1, 60), count=st.integers(0, 12), seed=st.integers(0, 10**6))
def test_the_nearest_are_those_of_this_process(workers: None, users: int, asked: int, count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(users, 9)).astype(np.float32)
    rows[::7] = rows[0]  # ties
    rows[draw.integers(users)] = np.nan
    queries = draw.choice(users, min(asked, users), replace=False)
    known = np.stack([draw.integers(len(queries), size=5), draw.integers(users, size=5)], axis=1)
    given_to = (rows, queries, rows[::-1].copy(), np.arange(users), min(count, users - 1), known)
    ours, local = search(*given_to, workers=RayWorkers(lambda: None, worth=0.0)), search(*given_to)
    np.testing.assert_array_equal(ours.values, local.values)
    np.testing.assert_array_equal(ours.rows, local.rows)
