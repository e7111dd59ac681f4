"""Nearest users are those of a plain sort, whatever the blocks, with ties, and in small corpora."""

from __future__ import annotations

import numpy as np
import pytest

import trainer.exam.retrieval
from trainer.exam.retrieval import Best, column_blocks, largest, nearest, product


@pytest.mark.parametrize(("block_rows", "block_bytes"), [(2**15, 2**25), (64, 2**25), (2**15, 4096), (1, 4)])
@pytest.mark.parametrize("corpus", [1, 2, 9, 11, 40, 500])
def test_the_best_are_those_of_a_plain_sort(
    monkeypatch: pytest.MonkeyPatch, block_rows: int, block_bytes: int, corpus: int
) -> None:
    monkeypatch.setattr(trainer.exam.retrieval, "_BLOCK_ROWS", block_rows)
    monkeypatch.setattr(trainer.exam.retrieval, "_BLOCK_BYTES", block_bytes)
    draw = np.random.default_rng(corpus)
    queries = draw.normal(size=(5, 7)).astype(np.float32)
    candidates = draw.normal(size=(corpus, 7)).astype(np.float32)
    names = 100 + draw.permutation(corpus)
    best = Best(5, 10)
    for where in column_blocks(5, corpus):
        best.add(product(queries, candidates[where]), names[where])
    found = min(10, corpus)
    expected = np.argsort(-(queries @ candidates.T), axis=1, kind="stable")[:, :found]
    assert (best.rows[:, :found] == names[expected]).all()
    assert (best.rows[:, found:] == -1).all()
    assert np.isneginf(best.values[:, found:]).all()


def test_among_many_that_are_the_same_each_is_found_once() -> None:
    best = Best(1, 10)
    for where in column_blocks(1, 300):
        best.add(np.ones((1, where.stop - where.start), dtype=np.float32), np.arange(300)[where])
    assert len(set(best.rows[0].tolist())) == 10


def test_a_row_with_a_number_that_is_not_finite_counts_as_zero() -> None:
    queries, candidates = np.ones((2, 3), dtype=np.float32), np.ones((4, 3), dtype=np.float32)
    queries[1, 0], candidates[2, 1] = np.nan, np.inf
    assert product(queries, candidates).tolist() == [[3.0, 3.0, 0.0, 3.0], [0.0] * 4]


@pytest.mark.parametrize("columns", [1, 15, 160, 167, 1000])
def test_the_largest_are_those_of_a_plain_sort(columns: int) -> None:
    values = np.random.default_rng(columns).normal(size=(20, columns)).astype(np.float32)
    k = min(10, columns)
    assert (largest(values, k) == np.argsort(-values, axis=1)[:, :k]).all()


@pytest.mark.parametrize("corpus", [1, 2, 11, 500])
def test_nobody_is_their_own_neighbour(corpus: int) -> None:
    draw = np.random.default_rng(corpus)
    rows = draw.normal(size=(600, 7)).astype(np.float32)
    candidates = np.sort(draw.choice(600, corpus, replace=False))
    asked = draw.permutation(np.union1d(candidates[:5], draw.choice(600, 3)))  # in the corpus, and not
    found = nearest(rows, asked, rows, candidates, 10)
    assert found.shape == (len(asked), min(10, corpus - 1))
    for query, near in zip(asked, found, strict=True):
        others = candidates[candidates != query]
        expected = others[np.argsort(-(rows[others] @ rows[query]), kind="stable")][: found.shape[1]]
        assert near.tolist() == expected.tolist()
