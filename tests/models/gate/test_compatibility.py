"""How well one model's queries find their users among another's vectors, by the plain definition of each recall."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from schemas.compatibility import CompatibilityReport
from schemas.policies import PairPolicy
from tests.models.exam.test_exam import COSINES, EVERYONE, RAW, exam_of
from tests.tastes import GROUP as TASTES
from tests.tastes import SPACE as TASTE_SPACE
from tests.tastes import Tastes
from tests.worlds import GROUP
from trainer.exam.evaluate import Score, embed, score
from trainer.exam.exam import prepare_exam
from trainer.exam.outcome_exam import OutcomeExam, held_out_exam
from trainer.gate.compatibility import compatibility
from trainer.learning.initial_weights import set_initial_weights
from trainer.learning.rotation import rotate, rotate_onto
from trainer.matrix.scaling import fit_space
from trainer.model import CANDIDATE, QUERY, TwoTower, build

PAIRS = PairPolicy(similarity_threshold=0.5)
SPACE = fit_space("s", GROUP, RAW)
EXAM = exam_of(list(range(60)))


def knowing(seed: int = 0) -> TwoTower:
    """A model that keeps the cosine, as training from scratch begins."""
    keras.utils.set_random_seed(seed)
    model = build(SPACE, GROUP, 0.0, 1e-3)
    set_initial_weights(model, EXAM.directions, EVERYONE[60:], 0.8)
    return model


def turned(model: TwoTower, seed: int = 0) -> TwoTower:
    """The same model somewhere else, as a rotation at random has it."""
    rotate(model, np.linalg.qr(np.random.default_rng(seed).normal(size=(128, 128)))[0])
    return model


def told(
    challenger: TwoTower,
    champion: TwoTower,
    about: OutcomeExam | None = None,
    exam: Any = EXAM,
    *,
    same_scaling: bool = True,
    own: Score | None = None,
) -> CompatibilityReport:
    own = own or score(champion, exam, about)
    return compatibility(challenger, champion, 7, own, exam, about, 0.9, same_scaling=same_scaling)


def test_recall_of_ten_is_that_of_one_models_queries_among_the_others_candidates() -> None:
    challenger, champion = build(SPACE, GROUP, 0.0, 1e-3), knowing()
    report = told(challenger, champion)
    queries, candidates = embed(challenger, QUERY, RAW, EVERYONE), embed(champion, CANDIDATE, RAW, EVERYONE)
    found = 0
    for user in EXAM.queries:
        others = EVERYONE[user != EVERYONE]
        nearest = others[np.argsort(-(queries[user] @ candidates[others].T))[:10]]
        found += int((COSINES[user, nearest] >= np.sort(COSINES[user, others])[-10] - 1e-6).sum())
    assert report.recall == pytest.approx(found / (10 * len(EXAM.queries)), abs=0.005)
    assert report.own_recall == score(champion, EXAM).metrics.recall_at_10
    assert report.kept == pytest.approx(report.recall / report.own_recall)
    assert (report.version, report.figure, report.limit, report.towers_changed) == (7, "recall_at_10", 0.9, True)


def test_a_model_that_lies_elsewhere_is_not_compatible_and_one_that_is_brought_back_is() -> None:
    champion, away = knowing(), turned(knowing())
    assert score(away, EXAM).metrics.recall_at_10 == pytest.approx(score(champion, EXAM).metrics.recall_at_10, abs=0.01)
    broken = told(away, champion)
    assert broken.kept < 0.3
    assert not broken.compatible
    assert "less than 90%: its index must not be asked with them" in broken.summary
    rotate(away, np.linalg.qr(np.random.default_rng(0).normal(size=(128, 128)))[0].T)
    back = told(away, champion)
    assert back.kept > 0.99
    assert back.compatible
    assert "version 7's recall@10" in back.summary


def test_the_same_towers_keep_everything_unless_rows_are_scaled_otherwise() -> None:
    report = told(knowing(), knowing())
    assert (report.kept, report.compatible, report.towers_changed) == (1.0, True, False)
    assert report.recall == report.own_recall
    assert report.summary == "the towers are those of version 7, so all of its vectors stay good"
    assert told(knowing(), knowing(), same_scaling=False).towers_changed


def test_a_champion_that_finds_nobody_is_compatible_with_its_like_alone() -> None:
    lost = build(SPACE, GROUP, 0.0, 1e-3)
    for tower in (lost.query, lost.candidate):
        tower.set_weights([np.full_like(array, np.nan) for array in tower.get_weights()])
    nothing = score(lost, EXAM)
    report = told(knowing(), lost, own=nothing)
    assert nothing.metrics.recall_at_10 == 0.0
    assert (report.kept, report.compatible) == (0.0, False)


def test_embeddings_of_another_size_are_neither_rotated_nor_compatible() -> None:
    """A champion of another release may have fewer numbers; what is wrong with it is said, and breaks nothing."""
    champion, challenger = narrow(), knowing()
    before = challenger.query.get_weights()
    rotate_onto(champion, challenger, RAW, EVERYONE)
    for one, other in zip(before, challenger.query.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    report = told(challenger, champion)
    assert report.own_recall > 0.0
    assert (report.recall, report.kept, report.compatible, report.towers_changed) == (0.0, 0.0, False, True)


def narrow() -> TwoTower:
    """A model with embeddings of 16 numbers."""
    direction = keras.Input((GROUP.width,))
    kernel = keras.layers.Dense(16, use_bias=False, kernel_initializer="orthogonal")
    tower = keras.Model(direction, keras.layers.UnitNormalization()(kernel(direction)))
    return replace(knowing(), query=tower, candidate=tower)


def test_where_outcomes_judge_it_is_recall_of_held_out_labels() -> None:
    world = Tastes()
    outcomes, population = world.outcomes(), world.population
    about = held_out_exam(world.raw, outcomes, population, 2000, 0)
    assert about is not None
    exam = prepare_exam(world.raw, world.raw, population.holdout, population.everyone, PAIRS, 0)
    champion, challenger = (taste_model(world, seed) for seed in (0, 1))
    report = told(challenger, champion, about, exam)
    queries = embed(challenger, QUERY, world.raw, about.asked)
    candidates = embed(champion, CANDIDATE, world.raw, about.corpus)
    found = []
    for at, user in enumerate(about.asked):
        left = np.setdiff1d(about.corpus, [user, *about.corpus[about.known[about.known[:, 0] == at, 1]]])
        fifty = left[np.argsort(-(queries[user] @ candidates[left].T))[:50]]
        found += list(np.isin(about.pairs[about.positive & (about.user == at), 1], fifty))
    assert report.figure == "recall_at_50"
    assert report.recall == pytest.approx(np.mean(found), abs=0.005)
    assert report.own_recall == score(champion, exam, about).metrics.recall_at_50
    assert "recall@50" in report.summary


def taste_model(world: Tastes, seed: int) -> TwoTower:
    keras.utils.set_random_seed(seed)
    model = build(TASTE_SPACE, TASTES, 0.0, 1e-3)
    set_initial_weights(model, world.raw, np.flatnonzero(world.part == 0)[seed:], 0.5)
    return model
