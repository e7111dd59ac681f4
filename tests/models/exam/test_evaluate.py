"""The figures are what their names say, checked against plain definitions, for all users and by slice."""

from __future__ import annotations

from itertools import count
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

import trainer.exam.retrieval
from schemas.cycle import Slice
from schemas.policies import PairPolicy
from tests.models.exam.test_exam import COSINES, DIRECTIONS, EVERYONE, RAW, exam_of
from tests.worlds import GROUP
from trainer.exam.evaluate import embed, score, scores, slice_reports
from trainer.exam.exam import prepare_exam
from trainer.matrix.scaling import fit_space
from trainer.model import CANDIDATE, QUERY, TwoTower, build

SPACE = fit_space("s", GROUP, RAW)
HELD = list(range(60))
_SEEDS = count()


def perfect() -> TwoTower:
    """A model that knows: its towers leave directions as they are, and its line is at the threshold, steep."""
    model = build(SPACE, GROUP, 0.2, 1e-3)
    direction = keras.Input((GROUP.width,))
    tower = keras.Model(direction, keras.layers.Identity()(direction))
    model.scale_and_bias.set_weights([np.array([[1e3]]), np.array([-800.0])])
    return TwoTower(model.whole, tower, tower, model.scale_and_bias, model.preprocess)


def untrained() -> TwoTower:
    """A model that tells something, but errs both ways; the next one is another."""
    keras.utils.set_random_seed(next(_SEEDS))
    model = build(SPACE, GROUP, 0.2, 1e-3)
    model.rescale(20.0, -2.0)
    return model


def test_queries_take_no_room_on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of queries there are a few thousand, of candidates all users."""
    taken: list[object] = []

    class Disk:
        def zeros(self, shape: tuple[int, ...], kind: type) -> NDArray[Any]:
            taken.append(shape)
            return np.zeros(shape, kind)

    monkeypatch.setattr("trainer.exam.evaluate.Scratch.beside", lambda _raw: Disk())
    model = untrained()
    embed(model, QUERY, RAW, EVERYONE[:3])
    assert taken == []
    embed(model, CANDIDATE, RAW, EVERYONE)
    assert taken == [(len(RAW), 128)]


def all_pairs(model: TwoTower, held: list[int]) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]:
    """Probability, label and held-out user of every pair (held-out user, anybody else), by the whole model."""
    rows = np.array([(query, other) for query in held for other in range(len(RAW)) if other != query])
    probability = model.whole.predict([RAW[rows[:, 0]], RAW[rows[:, 1]]], verbose=0, batch_size=4096)[:, 0]
    return probability.astype(np.float64), COSINES[rows[:, 0], rows[:, 1]] > 0.8, rows[:, 0]


@pytest.mark.parametrize("block_rows", [2**15, 50])
def test_figures_over_all_pairs_follow_their_definitions(monkeypatch: pytest.MonkeyPatch, block_rows: int) -> None:
    monkeypatch.setattr(trainer.exam.retrieval, "_BLOCK_ROWS", block_rows)
    model = untrained()
    metrics = score(model, exam_of(HELD)).metrics
    probability, label, _ = all_pairs(model, HELD)
    said = probability > 0.5
    assert (metrics.precision or 0.0) == pytest.approx(precision_score(label, said, zero_division=0.0), abs=1e-4)
    assert metrics.recall == pytest.approx(recall_score(label, said), abs=1e-4)
    assert metrics.f1 == pytest.approx(f1_score(label, said), abs=1e-4)
    assert metrics.average_precision == pytest.approx(average_precision_score(label, probability), abs=0.01)
    claimed = probability >= 0.1
    tenth = np.minimum((probability * 10).astype(int), 9)
    gaps = [abs((probability - label)[claimed & (tenth == one)].sum()) for one in range(10)]
    assert metrics.calibration_error == pytest.approx(sum(gaps) / claimed.sum(), abs=1e-3)


@pytest.mark.parametrize("ratio", [1, 3])
def test_figures_of_the_sample_follow_their_definitions(ratio: int) -> None:
    model = untrained()
    exam = exam_of(HELD, ratio)
    found = score(model, exam)
    ends = [RAW[exam.pairs.rows[:, 0]], RAW[exam.pairs.rows[:, 1]]]
    probability = model.whole.predict(ends, verbose=0)[:, 0].astype(np.float64)
    label = exam.pairs.similar
    np.testing.assert_allclose(found.probability, probability, atol=1e-5)
    right = (probability > 0.5) == label
    assert found.metrics.accuracy == pytest.approx((right[label].mean() + right[~label].mean()) / 2)
    assert found.metrics.auc == pytest.approx(roc_auc_score(label, probability), abs=1e-3)


def test_recall_at_10_is_the_share_of_the_truly_nearest() -> None:
    model = untrained()
    query, candidate = model.tower("query").predict(RAW, verbose=0), model.tower("candidate").predict(RAW, verbose=0)
    cosines = query @ candidate.T
    np.fill_diagonal(cosines, -2)
    hits = [len(set(np.argsort(-cosines[row])[:10]) & set(np.argsort(-COSINES[row])[:10])) for row in HELD]
    assert score(model, exam_of(HELD)).metrics.recall_at_10 == pytest.approx(np.mean(hits) / 10, abs=2e-3)


def test_whoever_is_as_near_as_the_tenth_counts_as_found() -> None:
    """Thirty users in one place: whichever ten of them a model finds, it has found the nearest."""
    place = np.tile(RAW[:1], (30, 1))
    raw = np.concatenate([place, RAW[:60]])
    directions = np.concatenate([np.tile(DIRECTIONS[:1], (30, 1)), DIRECTIONS[:60]])
    everyone = np.arange(len(raw))
    exam = prepare_exam(raw, directions, everyone[:30], everyone, PairPolicy(), 0)
    assert score(perfect(), exam).metrics.recall_at_10 == 1.0


def test_always_no_is_a_half_whatever_the_ratio() -> None:
    model = untrained()
    model.rescale(1.0, -60.0)
    for ratio in (1, 2, 5):
        metrics = score(model, exam_of(HELD, ratio)).metrics
        assert metrics.accuracy == 0.5
        assert (metrics.precision, metrics.recall) == (None, 0.0)


def test_a_line_that_moved_is_seen_by_precision_and_not_by_random_pairs() -> None:
    """The decision line at cosine 0.5 instead of 0.8: nearly all random dissimilar pairs are still told right."""
    model = perfect()
    model.scale_and_bias.set_weights([np.array([[1e3]]), np.array([-500.0])])
    metrics = score(model, exam_of(HELD)).metrics
    assert metrics.precision is not None
    assert metrics.precision < 0.8
    assert metrics.accuracy < 0.9


def test_a_perfect_model_finds_everybody_and_tells_every_pair_right() -> None:
    metrics = score(perfect(), exam_of(list(range(300)))).metrics
    assert metrics.recall_at_10 == pytest.approx(1.0)
    assert metrics.accuracy == metrics.auc == 1.0
    assert metrics.precision == metrics.recall == metrics.f1 == 1.0
    assert metrics.average_precision == pytest.approx(1.0, abs=0.01)
    assert metrics.calibration_error < 0.01


@pytest.mark.parametrize("stretch", [0.02, 1.0, 50.0])
def test_the_ranking_of_all_pairs_does_not_depend_on_how_cosines_are_stretched(stretch: float) -> None:
    """A tower that adds one constant number has the same order of pairs, in a sliver of the cosines."""
    model = perfect()
    direction = keras.Input((GROUP.width,))
    with_constant = keras.layers.Concatenate()([direction, keras.ops.ones_like(direction[:, :1]) / stretch])
    tower = keras.Model(direction, keras.layers.UnitNormalization()(with_constant))
    squeezed = TwoTower(model.whole, tower, tower, model.scale_and_bias, model.preprocess)
    assert score(squeezed, exam_of(HELD)).metrics.average_precision == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("name", ["query", "candidate"])
def test_embeddings_are_those_of_the_exported_tower(name: str) -> None:
    model = build(SPACE, GROUP, 0.5, 1e-3)
    rows = np.array([5, 2, 119])
    found = embed(model, name, RAW, rows)
    np.testing.assert_allclose(found[rows], model.tower(name).predict(RAW[rows], verbose=0), atol=1e-6)
    assert not np.delete(found, rows, axis=0).any()


def by_slice() -> dict[Slice, NDArray[np.int64]]:
    return {Slice.NEW: EVERYONE[:5], Slice.CHANGED: EVERYONE[5:20], Slice.UNCHANGED: EVERYONE[20:60]}


def test_a_slice_has_the_figures_of_exactly_its_users() -> None:
    exam = exam_of(HELD)
    models = [untrained() for _ in range(2)]
    found = [score(model, exam) for model in models]
    reports = slice_reports(exam, by_slice(), found[0], found[1])
    assert list(reports) == list(Slice)
    for name, rows in by_slice().items():
        report = reports[name]
        pairs = [at for at, (user, _) in enumerate(exam.pairs.rows.tolist()) if user in rows]
        assert (report.users, report.pairs) == (len(rows), len(pairs))
        for model, one, metrics in zip(models, found, (report.challenger, report.champion), strict=True):
            assert metrics is not None
            label, told = exam.pairs.similar[pairs], one.probability[pairs]
            assert metrics.auc == pytest.approx(roc_auc_score(label, told), rel=1e-12)
            probability, truth, _ = all_pairs(model, rows.tolist())
            precise = precision_score(truth, probability > 0.5, zero_division=0.0)
            assert (metrics.precision or 0.0) == pytest.approx(precise, abs=1e-4)
            assert metrics.recall == pytest.approx(recall_score(truth, probability > 0.5), abs=1e-4)


def test_a_slice_without_users_or_pairs_has_no_figures() -> None:
    exam = exam_of(HELD)
    found = score(untrained(), exam)
    reports = slice_reports(exam, {Slice.NEW: EVERYONE[:0], Slice.CHANGED: EVERYONE[:60]}, found, found)
    assert (reports[Slice.NEW].users, reports[Slice.NEW].pairs, reports[Slice.NEW].challenger) == (0, 0, None)
    assert reports[Slice.CHANGED].champion == found.metrics


def diverged(part: Any) -> None:
    part.set_weights([np.full_like(weight, np.nan) for weight in part.get_weights()])


def test_models_scored_side_by_side_are_scored_as_alone() -> None:
    models = [untrained(), perfect(), untrained()]
    exam = exam_of(HELD)
    together = scores(models, exam)
    assert [found.metrics for found in together] == [score(model, exam).metrics for model in models]
    assert together[1].metrics.recall_at_10 == 1.0


@pytest.mark.parametrize("part", ["scale_and_bias", "query", "candidate"])
def test_a_model_that_has_diverged_is_wrong_everywhere(part: str) -> None:
    model = untrained()
    diverged(getattr(model, part))
    metrics = score(model, exam_of(HELD)).metrics
    assert metrics.accuracy == 0.0
    assert metrics.precision in (None, 0.0)
    assert metrics.recall == 0.0


def test_a_corpus_smaller_than_ten_and_one_without_pairs_can_be_scored() -> None:
    few = EVERYONE[:4]
    policy = PairPolicy(similarity_threshold=0.9999)
    found = score(untrained(), prepare_exam(RAW, DIRECTIONS, few[:2], few, policy, seed=4))
    assert found.metrics.auc is found.metrics.average_precision is None
    assert found.metrics.accuracy == 0.0
    nobody = prepare_exam(RAW, DIRECTIONS, few[:0], few[:0], policy, seed=4)
    assert score(untrained(), nobody).metrics.recall_at_10 == 0.0
