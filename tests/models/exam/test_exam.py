"""An exam asks about every pair of the held-out users; its sample is hard, balanced and the same for all models."""

from __future__ import annotations

import numpy as np
import pytest

import trainer.exam.retrieval
from schemas.policies import PairPolicy
from tests.models.test_space import checked
from tests.worlds import GROUP, World, names
from trainer.exam.exam import Exam, prepare_exam
from trainer.matrix.scaling import fit_space, to_directions

RAW = checked(World().rows(names(300))).raw
DIRECTIONS = to_directions(fit_space("s", GROUP, RAW), GROUP, RAW)
EVERYONE = np.arange(300)
COSINES = DIRECTIONS.astype(np.float64) @ DIRECTIONS.T.astype(np.float64)
np.fill_diagonal(COSINES, -2.0)


def exam_of(examined: list[int], ratio: int = 1, seed: int = 4) -> Exam:
    policy = PairPolicy(similarity_threshold=0.8, negative_ratio=ratio)
    return prepare_exam(RAW, DIRECTIONS, np.array(examined), EVERYONE, policy, seed)


@pytest.mark.parametrize("block_rows", [2**15, 64, 7])
def test_every_pair_of_a_held_out_user_is_labelled(monkeypatch: pytest.MonkeyPatch, block_rows: int) -> None:
    monkeypatch.setattr(trainer.exam.retrieval, "_BLOCK_ROWS", block_rows)
    exam = exam_of([7, 3, 50])
    truth = COSINES[[7, 3, 50]] > 0.8
    for where, similar, own in exam.blocks():
        assert (similar == truth[:, where]).all()
        assert (np.argwhere(own)[:, 1] + where.start).tolist() == [at for at in (7, 3, 50) if at in EVERYONE[where]]
    assert exam.similar.tolist() == truth.sum(axis=1).tolist()
    tenth = -np.sort(-COSINES[[7, 3, 50]], axis=1)[:, 9]
    np.testing.assert_allclose(exam.tenth, tenth, atol=1e-5)


def test_a_pair_at_the_line_is_labelled_by_the_exact_similarity() -> None:
    """As the graph has it: a float32 product proposes, one float64 dot product decides."""
    line = float(COSINES[0, 1])
    policy = PairPolicy(similarity_threshold=line)
    exam = prepare_exam(RAW, DIRECTIONS, np.array([0, 1]), EVERYONE, policy, 0)
    ((_, similar, _),) = exam.blocks()
    assert (similar == (COSINES[:2] > line)).all()


@pytest.mark.parametrize("ratio", [1, 3])
def test_half_of_the_sampled_dissimilar_pairs_are_the_nearest_and_the_rest_random(ratio: int) -> None:
    exam = exam_of([7, 3, 50], ratio)
    assert (~exam.pairs.similar).sum() == ratio * exam.pairs.similar.sum()
    for query in (7, 3, 50):
        mine = exam.pairs.rows[:, 0] == query
        similar = exam.pairs.rows[mine & exam.pairs.similar, 1]
        others = exam.pairs.rows[mine & ~exam.pairs.similar, 1]
        assert (COSINES[query, similar] > 0.8).all()
        assert (COSINES[query, others] <= 0.8).all()
        order = np.argsort(-np.where(COSINES[query] > 0.8, -2, COSINES[query]))
        hard = min(ratio * len(similar) // 2, 32)
        assert set(order[:hard].tolist()) <= set(others.tolist())


def test_an_exam_is_the_same_for_the_same_seed() -> None:
    one, same, other = exam_of([7, 3, 50]), exam_of([7, 3, 50]), exam_of([7, 3, 50], seed=5)
    assert (one.pairs.rows == same.pairs.rows).all()
    assert not np.array_equal(one.pairs.rows, other.pairs.rows)


def test_of_many_similar_users_fifty_are_sampled_each_as_likely() -> None:
    crowd = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (200, 1))
    everyone = np.arange(200)
    exam = prepare_exam(crowd, crowd, everyone[:40], everyone, PairPolicy(similarity_threshold=0.8), 0)
    assert np.bincount(exam.pairs.rows[exam.pairs.similar, 0])[:40].tolist() == [50] * 40
    partners = np.bincount(exam.pairs.rows[exam.pairs.similar, 1], minlength=200)
    assert partners.min() > 0
    assert len(set(map(tuple, exam.pairs.rows.tolist()))) == len(exam.pairs) == 2000


def test_a_corpus_smaller_than_ten_and_an_empty_one() -> None:
    few = prepare_exam(RAW, DIRECTIONS, EVERYONE[:2], EVERYONE[:4], PairPolicy(), 0)
    assert few.nearest == 3
    nobody = prepare_exam(RAW, DIRECTIONS, EVERYONE[:0], EVERYONE[:0], PairPolicy(), 0)
    assert (nobody.nearest, len(nobody.pairs)) == (0, 0)
