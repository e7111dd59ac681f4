"""The figures are what their names say, checked against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.policies import GatePolicy, PairPolicy
from tests.unit.test_space import checked
from tests.worlds import GROUP, World, names
from trainer.evaluate import prepare_exam, score
from trainer.model import build
from trainer.pairs.graph import empty_graph, pairs_of, update_graph
from trainer.scaling import fit_space, to_directions

POLICY = PairPolicy(similarity_threshold=0.8, max_positives_per_user=None)
RAW = checked(World().rows(names(120))).raw
SPACE = fit_space("s", GROUP, RAW)
DIRECTIONS = to_directions(SPACE, GROUP, RAW)
EVERYONE = np.arange(120)
PAIRS = pairs_of(update_graph(empty_graph(), DIRECTIONS, EVERYONE, EVERYONE, POLICY).links)


def test_an_exam_is_the_same_for_every_model_and_asks_about_held_out_users_only() -> None:
    holdout = np.array([7, 3, 50, 9])
    gate = GatePolicy(max_users=3)
    exams = [prepare_exam(RAW, DIRECTIONS, PAIRS, holdout, EVERYONE, POLICY, gate, seed=4) for _ in range(2)]
    assert (exams[0].pairs.rows == exams[1].pairs.rows).all()
    assert exams[0].queries.tolist() == [7, 3, 50]  # the first three, in the order given
    assert set(exams[0].pairs.rows[:, 0].tolist()) <= {7, 3, 50}


def test_true_neighbours_are_the_nearest_by_direction_and_never_oneself() -> None:
    exam = prepare_exam(RAW, DIRECTIONS, PAIRS, EVERYONE, EVERYONE, POLICY, GatePolicy(), seed=4)
    cosines = DIRECTIONS @ DIRECTIONS.T
    np.fill_diagonal(cosines, -2)
    for query, nearest in zip(exam.queries.tolist(), exam.truth, strict=True):
        assert set(nearest.tolist()) == set(np.argsort(-cosines[query])[:10].tolist())


def test_the_figures_follow_their_definitions() -> None:
    model = build(SPACE, GROUP, 0.2, 1e-3)
    exam = prepare_exam(RAW, DIRECTIONS, PAIRS, EVERYONE[:60], EVERYONE, POLICY, GatePolicy(), seed=4)
    found = score(model, exam)

    ends = [RAW[exam.pairs.rows[:, 0]], RAW[exam.pairs.rows[:, 1]]]
    probability = model.whole.predict(ends, verbose=0)[:, 0].astype(np.float64)
    label = exam.pairs.similar
    assert found.metrics.accuracy == pytest.approx(((probability > 0.5) == label).mean())
    above = (probability[label][:, None] > probability[~label]).mean()
    ties = (probability[label][:, None] == probability[~label]).mean()
    assert found.metrics.auc == pytest.approx(above + ties / 2, abs=1e-3)
    bins = [(probability >= low) & (probability < low + 0.1) for low in np.arange(10) / 10]
    gaps = [abs(probability[inside].mean() - label[inside].mean()) * inside.mean() for inside in bins if inside.any()]
    assert found.metrics.calibration_error == pytest.approx(sum(gaps), abs=1e-3)

    query, candidate = model.embed("query", RAW), model.embed("candidate", RAW)
    cosines = query @ candidate.T
    np.fill_diagonal(cosines, -2)
    hits = [len(set(np.argsort(-cosines[row])[:10]) & set(exam.truth[at].tolist())) for at, row in enumerate(range(60))]
    assert found.metrics.recall_at_10 == pytest.approx(np.mean(hits) / 10, abs=2e-3)
    assert found.right.mean() == pytest.approx(found.metrics.accuracy)


def test_a_model_that_has_diverged_is_wrong_everywhere() -> None:
    model = build(SPACE, GROUP, 0.2, 1e-3)
    model.scale_and_bias.set_weights([np.array([[np.nan]]), np.array([0.0])])
    exam = prepare_exam(RAW, DIRECTIONS, PAIRS, EVERYONE, EVERYONE, POLICY, GatePolicy(), seed=4)
    assert score(model, exam).metrics.accuracy == 0.0


def test_a_corpus_smaller_than_ten_and_one_without_pairs_can_be_scored() -> None:
    model = build(SPACE, GROUP, 0.2, 1e-3)
    few = EVERYONE[:4]
    found = score(model, prepare_exam(RAW, DIRECTIONS, PAIRS[:0], few[:2], few, POLICY, GatePolicy(), seed=4))
    assert found.metrics.auc is None
    assert found.metrics.accuracy == 0.0
    nobody = prepare_exam(RAW, DIRECTIONS, PAIRS[:0], few[:0], few[:0], POLICY, GatePolicy(), seed=4)
    assert score(model, nobody).metrics.recall_at_10 == 0.0
