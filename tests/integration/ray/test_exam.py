"""An exam on Ray is the one of this process, bit for bit, whatever happens to workers and objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import psutil
import pytest

import trainer.exam.retrieval
from schemas.policies import PairPolicy
from tests.integration.ray.cluster import TwoNodes
from tests.integration.ray.work import divided, slowly
from tests.models.exam.test_evaluate import untrained
from tests.models.exam.test_exam import DIRECTIONS, EVERYONE, RAW
from tests.models.exam.test_outcome_exam import WORLD, held_out
from tests.models.gate.test_compatibility import PAIRS
from tests.tastes import seeing, taste_weights
from tests.waiting import wait_until
from trainer.distributed.workers import RayWorkers
from trainer.exam import parts
from trainer.exam.evaluate import Score, score, scores
from trainer.exam.exam import Exam, prepare_exam
from trainer.exam.parts import Block, Part
from trainer.exam.retrieval import Best
from trainer.workers import HERE, Workers

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

ON_RAY = RayWorkers(lambda: None, worth=0.0)


@pytest.fixture(autouse=True)
def _many_parts_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_PART", 13)
    monkeypatch.setattr(trainer.exam.retrieval, "_BLOCK_ROWS", 80)


def exam_by(workers: Workers) -> Exam:
    return prepare_exam(RAW, DIRECTIONS, EVERYONE[:60], EVERYONE, PairPolicy(), 4, workers)


def same(ours: Any, local: Any) -> None:
    """The same numbers, bit for bit, in each field."""
    for field in fields(local):
        one, other = getattr(ours, field.name), getattr(local, field.name)
        if isinstance(other, np.ndarray):
            np.testing.assert_array_equal(one, other, err_msg=field.name)
        elif isinstance(other, Best):
            same_best(one, other)
        elif isinstance(other, tuple):
            for block, its in zip(one, other, strict=True):
                np.testing.assert_array_equal(block, its, err_msg=field.name)
        elif hasattr(other, "__dataclass_fields__"):
            same(one, other)
        else:
            assert one == other, field.name


def same_best(ours: Best, local: Best) -> None:
    np.testing.assert_array_equal(ours.values, local.values)
    np.testing.assert_array_equal(ours.rows, local.rows)


def test_the_questions_and_every_figure_are_those_of_this_process(nodes: TwoNodes) -> None:
    local = exam_by(HERE)
    same(exam_by(ON_RAY), local)
    models = [untrained(), untrained()]
    for ours, theirs in zip(scores(models, local, workers=ON_RAY), scores(models, local), strict=True):
        same(ours, theirs)
        assert ours.metrics.recall is not None
        assert theirs.answers.ranked.sum() > 0


def test_outcomes_are_those_of_this_process(nodes: TwoNodes) -> None:
    exam = prepare_exam(WORLD.raw, WORLD.raw, WORLD.population.holdout, WORLD.everyone, PAIRS, 0)
    about, model = held_out(WORLD.outcomes(directed=True)), seeing(taste_weights())
    assert len(about.known), "some are left out of rankings"
    same(score(model, exam, about, ON_RAY), score(model, exam, about))


def test_a_diverged_model_is_as_lost_there(nodes: TwoNodes) -> None:
    model, exam = untrained(), exam_by(HERE)
    broken = [np.full_like(weight, np.nan) for weight in model.candidate.get_weights()]
    model.candidate.set_weights(broken)
    found: Score = score(model, exam, workers=ON_RAY)
    same(replace(found, cosine=None), replace(score(model, exam), cosine=None))
    assert found.metrics.recall == 0.0


def test_a_worker_that_is_killed_in_the_middle_changes_nothing(nodes: TwoNodes) -> None:
    killed: list[int] = []

    def kill() -> None:
        wait_until(at_work, 120.0, "a worker at work")
        for process in at_work():
            killed.append(process.pid)
            process.kill()

    assert disturbed(kill) == list(range(20))
    assert killed


def test_a_node_that_is_lost_and_one_that_joins_change_nothing(nodes: TwoNodes) -> None:
    assert disturbed(nodes.lose_one) == list(range(20))
    assert disturbed(nodes.gain_one) == list(range(20))
    nodes.wait_until_known()


def test_what_parts_have_in_common_is_put_again_where_it_is_lost(
    nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block belongs to a process that dies, so Ray itself answers that it is lost."""
    import ray

    class Owner:
        def put(self, value: Any) -> list[Any]:
            return [ray.put(value)]

    put = ray.put
    lost: list[Any] = []

    def put_and_lose(value: Any) -> Any:
        if not isinstance(value, Block) or lost:
            return put(value)
        owner: Any = ray.remote(num_cpus=0)(Owner).remote()
        lost.extend(ray.get(owner.put.remote(value)))
        ray.kill(owner)
        return lost[0]

    local = exam_by(HERE)
    monkeypatch.setattr(ray, "put", put_and_lose)
    same(exam_by(ON_RAY), local)
    assert lost, "a block was lost"
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.get(lost[0])


def disturbed(disturb: Callable[[], object]) -> list[int]:
    """The numbers of twenty parts, in order; something happens after the first."""
    found = []
    for number in ON_RAY.each(slowly, range(20), [np.zeros(300_000)], 1e9):
        found.append(number)
        if len(found) == 1:
            disturb()
    return found


def at_work() -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any("ray::part_of_a_work" in part for part in process.info["cmdline"] or ())
    ]


def test_what_a_task_raises_is_raised_here(nodes: TwoNodes) -> None:
    with pytest.raises(ZeroDivisionError):
        list(ON_RAY.each(partial(divided, by=0), [1], [1], 1e9))


def test_little_work_stays_here() -> None:
    def never() -> None:
        raise AssertionError("nothing is worth a connection")

    few = Part(EVERYONE[:1], DIRECTIONS[:1])
    found = RayWorkers(never, worth=20.0).each(lambda part, common: (part, list(common)), [few], [1, 2], 19.9)
    assert list(found) == [(few, [1, 2])]
