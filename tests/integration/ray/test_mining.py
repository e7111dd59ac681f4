"""Mining on Ray gives the pairs of mining in this process, bit for bit, whatever happens to workers and nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from tests.integration.ray.cluster import TwoNodes
from tests.models.pairs.test_mining import view_of
from tests.waiting import wait_until
from trainer.distributed.mining import RayEngine
from trainer.matrix.embeddings import Rows
from trainer.pairs.engine import LOCAL, Engine
from trainer.pairs.graph import Graph, GraphUpdate, update_graph
from trainer.pairs.links import Links
from trainer.pairs.nearest import depth_of
from trainer.pairs.precision import Precision
from trainer.pairs.view import View

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

CAPPED, WHOLE = PairPolicy(max_positives_per_user=20), PairPolicy(max_positives_per_user=None)
USERS, WIDTH = 5000, 48


def engine_of(space: str) -> RayEngine:
    return RayEngine(space, lambda: None, worth=0)


def users(seed: int) -> Floats:
    draw = np.random.default_rng(seed)
    tastes = draw.normal(size=(25, WIDTH))
    rows = tastes[draw.integers(25, size=USERS)] + 0.4 * draw.normal(size=(USERS, WIDTH))
    rows[::97] = rows[1::97][: len(rows[::97])]  # ties
    directions: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return directions


def same(ours: GraphUpdate, local: GraphUpdate) -> None:
    mine, theirs = ours.graph.arrays(), local.graph.arrays()
    for name, array in theirs.items():
        np.testing.assert_array_equal(mine[name], array, err_msg=name)
    assert (ours.mined, ours.refilled) == (local.mined, local.refilled)


@pytest.mark.parametrize("policy", [CAPPED, WHOLE], ids=["capped", "whole"])
@pytest.mark.parametrize(
    ("kept", "precision"),
    [(12, Precision.FLOAT32), (None, Precision.FLOAT32), (12, Precision.BFLOAT16)],
    ids=["short rows", "directions themselves", "bfloat16"],
)
def test_cycles_in_a_row_give_the_same_graph(
    nodes: TwoNodes, policy: PairPolicy, kept: int | None, precision: Precision
) -> None:
    rows, draw = users(1), np.random.default_rng(2)
    engine = engine_of(f"{policy.max_positives_per_user}-{kept}-{precision}")
    ours = local = GraphUpdate(Graph.empty(policy), 0, 0)
    changed: Rows = np.arange(USERS)
    for cycle in range(4):
        view = view_of(rows, kept=kept, precision=precision)
        sent = engine.rows_sent
        ours = update_graph(ours.graph, view, changed, policy, engine=engine)
        local = update_graph(local.graph, view, changed, policy)
        same(ours, local)
        assert len(local.graph.codes()) > USERS
        assert engine.rows_sent - sent == len(changed), f"cycle {cycle} sends what has changed, once"
        changed = np.sort(draw.choice(USERS, 150, replace=False))
        rows = rows.copy()
        rows[changed] = users(3 + cycle)[changed]
        rows[changed[:10]] = 0.0  # they leave


def test_a_mined_row_that_nobody_changed_is_sent_to_no_node(nodes: TwoNodes) -> None:
    engine, view = engine_of("still"), view_of(users(1), kept=12)
    first = nearest(engine, view)
    sent = engine.rows_sent
    second = nearest(engine, view)
    assert (sent, engine.rows_sent) == (USERS, USERS)
    equal(first, second)


def test_a_worker_that_is_killed_in_the_middle_changes_nothing(nodes: TwoNodes) -> None:
    killed: list[int] = []

    def kill() -> None:
        wait_until(at_work, 60.0, "a worker at work")
        for process in at_work():
            killed.append(process.pid)
            process.kill()

    disturbed(kill)
    assert killed


def test_a_node_that_is_lost_with_its_results_and_one_that_joins_change_nothing(nodes: TwoNodes) -> None:
    disturbed(nodes.lose_one)
    nodes.gain_one()
    disturbed(nodes.gain_one)


def test_a_copy_that_another_trainer_has_made_since_is_made_again(nodes: TwoNodes) -> None:
    """As when an abandoned trainer goes on: its matrix must never answer for ours."""
    other = view_of(users(9), kept=12)
    disturbed(lambda: [None for _ in engine_of("disturbed").nearest(other, np.arange(600), CAPPED, 5, None)])


def test_a_result_that_is_lost_is_computed_again(nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray.exceptions import ObjectLostError

    real: Callable[[Any], Any] = ray.get
    lost: list[object] = []

    def get(reference: Any) -> Any:
        found = real(reference)
        if isinstance(found, tuple) and not lost:
            lost.append(found)
            raise ObjectLostError("0" * 56, None, "")
        return found

    view = view_of(users(1), kept=12)
    monkeypatch.setattr(ray, "get", get)
    equal(nearest(engine_of("lost"), view), nearest(LOCAL, view))
    assert lost


def disturbed(disturb: Callable[[], object]) -> None:
    """Mine while something happens after the first portion."""
    view = view_of(users(1), kept=12)
    found: list[tuple[Links, Links]] = []
    floor = np.zeros(USERS)
    for _, links in engine_of("disturbed").nearest(view, np.arange(USERS), CAPPED, depth_of(20), floor):
        found.append(links)
        if len(found) == 1:
            disturb()
    equal(joined(found), nearest(LOCAL, view))


def nearest(engine: Engine, view: View) -> tuple[Links, Links]:
    rows, floor = np.arange(USERS), np.zeros(USERS)
    return joined([found for _, found in engine.nearest(view, rows, CAPPED, depth_of(20), floor)])


def joined(found: list[tuple[Links, Links]]) -> tuple[Links, Links]:
    return Links.join([out for out, _ in found]), Links.join([into for _, into in found])


def equal(ours: tuple[Links, Links], theirs: tuple[Links, Links]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        mine, local = np.lexsort((one.target, one.source)), np.lexsort((other.target, other.source))
        for name in ("source", "target", "similarity"):
            np.testing.assert_array_equal(getattr(one, name)[mine], getattr(other, name)[local], err_msg=name)


def at_work() -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any("ray::nearest_of_a_portion" in part for part in process.info["cmdline"] or ())
    ]
