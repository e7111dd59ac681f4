"""The figures are what their names say, checked against plain definitions, for all users and by slice."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from schemas.cycle import Slice
from schemas.policies import PairPolicy
from tests.unit.test_space import checked
from tests.worlds import GROUP, World, names
from trainer.evaluate import Exam, embed, prepare_exam, score, scores, slice_reports
from trainer.model import TwoTower, build
from trainer.pairs.bounds import Bounds
from trainer.pairs.graph import Graph, update_graph
from trainer.pairs.view import View
from trainer.scaling import fit_space, to_directions

POLICY = PairPolicy(similarity_threshold=0.8, max_positives_per_user=None)
RAW = checked(World().rows(names(120))).raw
SPACE = fit_space("s", GROUP, RAW)
DIRECTIONS = to_directions(SPACE, GROUP, RAW)
EVERYONE = np.arange(120)
PAIRS = np.argwhere(np.triu(DIRECTIONS.astype(np.float64) @ DIRECTIONS.T > 0.8, 1))


def graph_of(policy: PairPolicy) -> Graph:
    view = View(DIRECTIONS, Bounds.plain(DIRECTIONS), EVERYONE)
    return update_graph(Graph.empty(policy), view, EVERYONE, policy).graph


GRAPH = graph_of(POLICY)


def exam_of(examined: NDArray[np.int64]) -> Exam:
    return prepare_exam(RAW, DIRECTIONS, GRAPH, examined, EVERYONE, POLICY, seed=4)


def perfect() -> TwoTower:
    """A model that knows: its towers leave directions as they are, and its line is at the threshold, steep."""
    model = build(SPACE, GROUP, 0.2, 1e-3)
    direction = keras.Input((GROUP.width,))
    tower = keras.Model(direction, keras.layers.Identity()(direction))
    model.scale_and_bias.set_weights([np.array([[1e3]]), np.array([-800.0])])
    return TwoTower(model.whole, tower, tower, model.scale_and_bias, model.preprocess)


def test_an_exam_is_the_same_for_every_model_and_asks_about_held_out_users_only() -> None:
    exams = [exam_of(np.array([7, 3, 50])) for _ in range(2)]
    assert (exams[0].pairs.rows == exams[1].pairs.rows).all()
    assert exams[0].queries.tolist() == [7, 3, 50]
    assert set(exams[0].pairs.rows[:, 0].tolist()) <= {7, 3, 50}
    asked = {frozenset(pair) for pair in exams[0].pairs.rows[exams[0].pairs.similar].tolist()}
    assert asked == {frozenset(pair) for pair in PAIRS.tolist() if {7, 3, 50} & set(pair)}


@pytest.mark.parametrize("cap", [None, 3, 12])
def test_true_neighbours_are_the_nearest_by_direction_and_never_oneself(cap: int | None) -> None:
    """Whether the graph knows ten of them, fewer, or none."""
    graph = graph_of(POLICY.model_copy(update={"max_positives_per_user": cap}))
    known = (graph.nearest(EVERYONE, 10) >= 0).all(axis=1)
    assert known.any() == (cap is not None)
    assert not known.all()
    exam = prepare_exam(RAW, DIRECTIONS, graph, EVERYONE, EVERYONE, POLICY, seed=4)
    cosines = DIRECTIONS @ DIRECTIONS.T
    np.fill_diagonal(cosines, -2)
    for query, nearest in zip(exam.queries.tolist(), exam.truth, strict=True):
        assert set(nearest.tolist()) == set(np.argsort(-cosines[query])[:10].tolist())


def test_the_figures_follow_their_definitions() -> None:
    model = build(SPACE, GROUP, 0.2, 1e-3)
    exam = exam_of(EVERYONE[:60])
    found = score(model, exam)

    ends = [RAW[exam.pairs.rows[:, 0]], RAW[exam.pairs.rows[:, 1]]]
    probability = model.whole.predict(ends, verbose=0)[:, 0].astype(np.float64)
    label = exam.pairs.similar
    np.testing.assert_allclose(found.probability, probability, atol=1e-5)
    assert found.metrics.accuracy == pytest.approx(((probability > 0.5) == label).mean())
    above = (probability[label][:, None] > probability[~label]).mean()
    ties = (probability[label][:, None] == probability[~label]).mean()
    assert found.metrics.auc == pytest.approx(above + ties / 2, abs=1e-3)
    precision = [label[probability >= line].mean() for line in probability[label]]
    assert found.metrics.average_precision == pytest.approx(np.mean(precision), abs=1e-3)
    bins = [(probability >= low) & (probability < low + 0.1) for low in np.arange(10) / 10]
    gaps = [abs(probability[inside].mean() - label[inside].mean()) * inside.mean() for inside in bins if inside.any()]
    assert found.metrics.calibration_error == pytest.approx(sum(gaps), abs=1e-3)

    query, candidate = model.tower("query").predict(RAW, verbose=0), model.tower("candidate").predict(RAW, verbose=0)
    cosines = query @ candidate.T
    np.fill_diagonal(cosines, -2)
    hits = [len(set(np.argsort(-cosines[row])[:10]) & set(exam.truth[at].tolist())) for at, row in enumerate(range(60))]
    assert found.metrics.recall_at_10 == pytest.approx(np.mean(hits) / 10, abs=2e-3)
    assert found.right.mean() == pytest.approx(found.metrics.accuracy)


@pytest.mark.parametrize("name", ["query", "candidate"])
def test_embeddings_are_those_of_the_exported_tower(name: str) -> None:
    model = build(SPACE, GROUP, 0.5, 1e-3)
    rows = np.array([5, 2, 119])
    found = embed(model, name, RAW, rows)
    np.testing.assert_allclose(found[rows], model.tower(name).predict(RAW[rows], verbose=0), atol=1e-6)
    assert not np.delete(found, rows, axis=0).any()


def test_a_perfect_model_finds_everybody_and_tells_every_pair_right() -> None:
    metrics = score(perfect(), exam_of(EVERYONE)).metrics
    assert metrics.recall_at_10 == pytest.approx(1.0)
    assert metrics.accuracy == metrics.auc == 1.0
    assert metrics.average_precision == pytest.approx(1.0)
    assert metrics.calibration_error < 0.01


def by_slice() -> dict[Slice, NDArray[np.int64]]:
    return {Slice.NEW: EVERYONE[:5], Slice.CHANGED: EVERYONE[5:20], Slice.UNCHANGED: EVERYONE[20:60]}


def test_a_slice_has_the_figures_of_exactly_its_pairs_and_queries() -> None:
    exam = exam_of(EVERYONE[:60])
    scores = [score(build(SPACE, GROUP, 0.2, 1e-3), exam) for _ in range(2)]
    reports = slice_reports(exam, by_slice(), *scores)
    assert list(reports) == list(Slice)
    for name, rows in by_slice().items():
        report = reports[name]
        pairs = [at for at, (anchor, _) in enumerate(exam.pairs.rows.tolist()) if anchor in rows]
        queries = [at for at, query in enumerate(exam.queries.tolist()) if query in rows]
        assert (report.users, report.pairs) == (len(queries), len(pairs))
        for found, metrics in zip(scores, (report.challenger, report.champion), strict=True):
            assert metrics is not None
            label, probability = exam.pairs.similar[pairs], found.probability[pairs]
            assert metrics.auc == pytest.approx(roc_auc_score(label, probability), rel=1e-12)
            assert metrics.average_precision == pytest.approx(average_precision_score(label, probability), rel=1e-12)
            assert metrics.accuracy == pytest.approx(((probability > 0.5) == label).mean())
            assert metrics.recall_at_10 == pytest.approx(found.recall[queries].mean())


def test_slices_recombine_to_the_whole() -> None:
    exam = exam_of(EVERYONE[:60])
    found = score(build(SPACE, GROUP, 0.2, 1e-3), exam)
    reports = slice_reports(exam, by_slice(), found, None).values()
    told = [(report, report.challenger) for report in reports if report.challenger is not None]
    assert sum(report.users for report in reports) == 60
    assert sum(report.pairs for report in reports) == len(exam.pairs)
    right = sum(metrics.accuracy * report.pairs for report, metrics in told)
    assert right / len(exam.pairs) == pytest.approx(found.metrics.accuracy)
    recalled = sum(metrics.recall_at_10 * report.users for report, metrics in told)
    assert recalled / 60 == pytest.approx(found.metrics.recall_at_10)
    assert {report.champion for report in reports} == {None}


def test_a_slice_without_users_or_pairs_has_no_figures() -> None:
    exam = exam_of(EVERYONE[:60])
    found = score(build(SPACE, GROUP, 0.2, 1e-3), exam)
    reports = slice_reports(exam, {Slice.NEW: EVERYONE[:0], Slice.CHANGED: EVERYONE[:60]}, found, found)
    assert (reports[Slice.NEW].users, reports[Slice.NEW].pairs, reports[Slice.NEW].challenger) == (0, 0, None)
    assert reports[Slice.CHANGED].champion == found.metrics


def diverged(part: Any) -> None:
    part.set_weights([np.full_like(weight, np.nan) for weight in part.get_weights()])


def test_models_scored_side_by_side_are_scored_as_alone() -> None:
    models = [build(SPACE, GROUP, 0.2, 1e-3), perfect(), build(SPACE, GROUP, 0.2, 1e-3)]
    exam = exam_of(EVERYONE)
    together = scores(models, exam)
    assert [found.metrics for found in together] == [score(model, exam).metrics for model in models]
    assert together[1].metrics.recall_at_10 == 1.0


@pytest.mark.parametrize("part", ["scale_and_bias", "query", "candidate"])
def test_a_model_that_has_diverged_is_wrong_everywhere(part: str) -> None:
    model = build(SPACE, GROUP, 0.2, 1e-3)
    diverged(getattr(model, part))
    assert score(model, exam_of(EVERYONE)).metrics.accuracy == 0.0


def test_a_corpus_smaller_than_ten_and_one_without_pairs_can_be_scored() -> None:
    model = build(SPACE, GROUP, 0.2, 1e-3)
    few = EVERYONE[:4]
    found = score(model, prepare_exam(RAW, DIRECTIONS, Graph.empty(POLICY), few[:2], few, POLICY, seed=4))
    assert found.metrics.auc is found.metrics.average_precision is None
    assert found.metrics.accuracy == 0.0
    nobody = prepare_exam(RAW, DIRECTIONS, Graph.empty(POLICY), few[:0], few[:0], POLICY, seed=4)
    assert score(model, nobody).metrics.recall_at_10 == 0.0
