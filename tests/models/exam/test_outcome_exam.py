"""The exam by outcomes: held-out labels, strangers who are as popular, and figures that are what their names say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import trainer.exam.retrieval
from schemas.policies import GatePolicy, PairPolicy
from tests.tastes import TRAITS, Tastes, outcomes_of, seeing, taste_weights
from trainer.exam.evaluate import embed, score
from trainer.exam.exam import prepare_exam
from trainer.exam.outcome_answers import OutcomeAnswers, answer
from trainer.exam.outcome_exam import OutcomeExam, held_out_exam, lacking, outcome_exam
from trainer.labels.outcomes import Outcomes
from trainer.matrix.split import Part
from trainer.model import CANDIDATE, QUERY

WORLD = Tastes()
LABELS = WORLD.outcomes()


def held_out(outcomes: Outcomes = LABELS, most: int = 2000, seed: int = 1, world: Tastes = WORLD) -> OutcomeExam:
    exam = held_out_exam(world.raw, outcomes, world.population, most, seed)
    assert exam is not None
    return exam


def figures(answers: OutcomeAnswers) -> dict[str, float]:
    return {name: float(value) for name, value in answers.summed(np.ones(len(answers))).figures().items()}


def answered(exam: OutcomeExam, weights: NDArray[np.float64]) -> OutcomeAnswers:
    model = seeing(weights)
    query, candidate = (embed(model, name, WORLD.raw, WORLD.everyone) for name in (QUERY, CANDIDATE))
    return answer(exam, query, candidate, model.scale())


def known_pairs(outcomes: Outcomes) -> set[tuple[int, int]]:
    pairs = {(int(one), int(other)) for one, other in outcomes.pairs[outcomes.positive]}
    return pairs if outcomes.directed else pairs | {(other, one) for one, other in pairs}


def test_each_held_out_label_is_asked_once_of_an_end_that_is_held_out() -> None:
    exam = held_out()
    held = WORLD.part == Part.HOLDOUT
    asked = np.sort(exam.pairs[exam.positive], axis=1)
    about = LABELS.pairs[LABELS.part == Part.HOLDOUT]
    assert sorted(asked.tolist()) == sorted(about.tolist())
    both = exam.pairs[exam.positive][held[exam.pairs[exam.positive]].all(axis=1)]
    assert 0.3 < (both[:, 0] < both[:, 1]).mean() < 0.7
    assert held[exam.asked].all()
    assert exam.labels == (LABELS.part == Part.HOLDOUT).sum()
    assert (exam.asked[exam.user] == exam.pairs[:, 0]).all()
    assert not len(exam.known)  # every label of a held-out user is held out


def test_a_directed_label_is_asked_of_who_made_it_and_what_he_was_known_to_like_is_left_out_of_the_ranking() -> None:
    outcomes = WORLD.outcomes(directed=True)
    exam = held_out(outcomes)
    about = outcomes.pairs[outcomes.part == Part.HOLDOUT]
    assert {tuple(pair) for pair in exam.pairs[exam.positive].tolist()} == {tuple(pair) for pair in about.tolist()}
    learned = {tuple(pair) for pair in outcomes.pairs[outcomes.part == Part.TRAIN].tolist() if pair[0] in exam.asked}
    known = np.stack([exam.asked[exam.known[:, 0]], exam.corpus[exam.known[:, 1]]], axis=1)
    assert learned
    assert {tuple(pair) for pair in known.tolist()} == learned


@settings(max_examples=25, deadline=None)
@given(
    users=st.integers(4, 40),
    chance=st.floats(0.02, 0.9),
    directed=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_nobody_is_his_own_stranger_nor_are_those_whom_he_likes(
    users: int, chance: float, directed: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    raw = generator.normal(size=(users, TRAITS)).astype(np.float32)
    some = generator.random((users, users)) < chance
    some = some & ~np.eye(users, dtype=bool) if directed else np.triu(some, 1)
    pairs = np.argwhere(some)
    positive = generator.random(len(pairs)) < 0.7
    part = np.where(generator.random(users) < 0.5, Part.TRAIN, Part.HOLDOUT).astype(np.int8)
    outcomes = outcomes_of(pairs, part, positive, directed=directed)
    exam = outcome_exam(raw, outcomes, outcomes.part == Part.HOLDOUT, part == Part.HOLDOUT, np.arange(users), 100, seed)
    liked = known_pairs(outcomes)
    refused = {tuple(pair) for pair in outcomes.pairs[~outcomes.positive].tolist()}
    refused |= {(other, one) for one, other in refused} if not directed else set()
    asked_about = [tuple(pair) for pair in exam.pairs[~exam.positive].tolist()]
    assert all(one != other for one, other in exam.pairs.tolist())
    assert not liked & set(asked_about)
    strangers = [pair for pair in asked_about if pair not in refused]
    assert len(strangers) <= exam.positive.sum()
    again = outcome_exam(
        raw, outcomes, outcomes.part == Part.HOLDOUT, part == Part.HOLDOUT, np.arange(users), 100, seed
    )
    assert (again.pairs == exam.pairs).all()


def test_auc_recall_and_calibration_follow_their_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.exam.retrieval, "_BLOCK_ROWS", 100)
    refused = np.random.default_rng(3).random(len(LABELS)) < 0.2
    weight = np.random.default_rng(4).integers(1, 4, len(LABELS)).astype(np.float32)
    outcomes = replace(LABELS, positive=~refused, weight=weight)
    exam = held_out(outcomes)
    model = seeing(taste_weights(0.5))
    seen = embed(model, QUERY, WORLD.raw, WORLD.everyone)
    found = figures(answer(exam, seen, seen, model.scale()))

    cosine = (seen[exam.pairs[:, 0]] * seen[exam.pairs[:, 1]]).sum(axis=1)
    exact = roc_auc_score(exam.positive, cosine, sample_weight=exam.weight)
    assert found["outcome_auc"] == pytest.approx(exact, abs=5e-4)
    assert 0.6 < exact < 0.99

    every = seen @ seen.T
    np.fill_diagonal(every, -2)
    nearest = np.argsort(-every, axis=1)[:, :50]
    near = np.array([other in nearest[one] for one, other in exam.pairs[exam.positive]])
    weighed = exam.weight[exam.positive]
    assert found["recall_at_50"] == pytest.approx((near * weighed).sum() / weighed.sum(), abs=2e-3)

    probability = 1 / (1 + np.exp(-(10 * cosine - 2)))
    tenth = (probability * 10).astype(int)
    gaps = [abs(((probability - exam.positive) * exam.weight)[tenth == one].sum()) for one in range(10)]
    assert found["outcome_calibration_error"] == pytest.approx(sum(gaps) / exam.weight.sum(), abs=1e-3)


def test_known_positives_are_in_nobodys_ranking() -> None:
    """A learned label would take the place of one that is asked about."""
    outcomes = WORLD.outcomes(directed=True)
    exam = held_out(outcomes)
    assert (
        figures(answered(exam, taste_weights()))["recall_at_50"]
        > figures(answered(replace(exam, known=exam.known[:0]), taste_weights()))["recall_at_50"]
    )


def test_who_knows_the_taste_is_better_than_the_cosine_and_shuffled_towers_know_nothing() -> None:
    exam = held_out()
    knowing, cosine = (figures(answered(exam, taste_weights(noise))) for noise in (0.0, 1.0))
    assert knowing["outcome_auc"] > cosine["outcome_auc"] + 0.1
    assert knowing["recall_at_50"] > 2 * cosine["recall_at_50"]
    seen = embed(seeing(taste_weights()), QUERY, WORLD.raw, WORLD.everyone)
    shuffled = seen[np.random.default_rng(0).permutation(len(seen))]
    lost = figures(answer(exam, shuffled, shuffled, (10.0, -2.0)))
    assert lost["outcome_auc"] == pytest.approx(0.5, abs=0.04)
    assert lost["recall_at_50"] == pytest.approx(50 / len(seen), abs=0.05)


def test_popularity_alone_tells_nothing_where_strangers_are_as_popular() -> None:
    """The same model looks good against strangers who are just anybody."""
    world = Tastes(users=1500, follows=6, sharpness=0.0)
    exam = held_out(world.outcomes(), world=world)
    popular = np.bincount(world.pairs.ravel(), minlength=len(world.raw)).astype(np.float32)
    share = np.sqrt(popular / popular.max())
    queries = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(world.raw), 1))
    candidates = np.stack([share, np.sqrt(1 - share**2)], axis=1).astype(np.float32)
    matched = figures(answer(exam, queries, candidates, (10.0, -2.0)))["outcome_auc"]
    anybody = exam.pairs.copy()
    anybody[~exam.positive, 1] = np.random.default_rng(0).choice(world.everyone, (~exam.positive).sum())
    unmatched = figures(answer(replace(exam, pairs=anybody), queries, candidates, (10.0, -2.0)))["outcome_auc"]
    assert matched == pytest.approx(0.5, abs=0.02)
    assert unmatched > 0.6


def test_of_too_many_users_some_are_asked_and_a_slice_has_the_sums_of_its_users() -> None:
    exam = held_out(most=40)
    assert len(exam.asked) == 40
    found = answered(exam, taste_weights(0.5))
    some = np.arange(40) < 15
    alone = replace(
        exam,
        asked=exam.asked[some],
        pairs=exam.pairs[exam.user < 15],
        positive=exam.positive[exam.user < 15],
        earlier=exam.earlier[exam.user < 15],
        weight=exam.weight[exam.user < 15],
        user=exam.user[exam.user < 15],
    )
    told, again = figures(found.of(some)), figures(answered(alone, taste_weights(0.5)))
    assert told == pytest.approx(again, abs=2e-3)


@pytest.mark.parametrize("side", ["queries", "candidates", "line"])
def test_a_model_that_has_diverged_is_wrong_everywhere(side: str) -> None:
    exam = held_out()
    seen = embed(seeing(taste_weights()), QUERY, WORLD.raw, WORLD.everyone)
    nothing = np.full_like(seen, np.nan)
    line = (np.nan, 0.0) if side == "line" else (10.0, -2.0)
    told = figures(
        answer(exam, nothing if side == "queries" else seen, nothing if side == "candidates" else seen, line)
    )
    if side == "line":
        assert told["outcome_calibration_error"] == pytest.approx(1.0)
    else:
        assert told["outcome_auc"] == told["recall_at_50"] == 0.0


def test_both_exams_are_one_score() -> None:
    outcomes = held_out(most=100)
    held = WORLD.population.holdout[:20]
    exam = prepare_exam(WORLD.raw, WORLD.raw, held, WORLD.everyone, PairPolicy(similarity_threshold=0.2), 0)
    model = seeing(taste_weights(0.5))
    alone, together = score(model, exam), score(model, exam, outcomes)
    assert alone.metrics.outcome_auc is alone.metrics.recall_at_50 is None
    assert alone.outcomes is None
    assert together.outcomes is not None
    named = ("outcome_auc", "recall_at_50", "outcome_calibration_error", "earlier_auc")
    told = {name: getattr(together.metrics, name) for name in named}
    assert told == pytest.approx(figures(together.outcomes))
    assert together.metrics.model_copy(update=dict.fromkeys(named)) == alone.metrics


def test_too_few_labels_are_told_with_what_it_takes() -> None:
    assert lacking(held_out(), GatePolicy()) is None
    why = lacking(None, GatePolicy())
    assert why is not None
    assert "takes 30 labels" in why
    held = np.flatnonzero(LABELS.part == Part.HOLDOUT)
    why = lacking(held_out(LABELS.of(np.isin(np.arange(len(LABELS)), held[:29]))), GatePolicy())
    assert why is not None
    assert why.startswith("29 positive labels of ")
    only_negative = replace(LABELS, positive=np.zeros(len(LABELS), dtype=bool))
    assert held_out_exam(WORLD.raw, only_negative, WORLD.population, 100, 0) is None
