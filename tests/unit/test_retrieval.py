"""Nearest users are those of a plain sort, whatever the blocks, with ties, and in small corpora."""

from __future__ import annotations

import numpy as np
import pytest

import trainer.retrieval
from trainer.retrieval import largest, nearest


@pytest.mark.parametrize(("block_rows", "block_bytes"), [(2**15, 2**28), (64, 2**28), (2**15, 4096), (1, 4)])
@pytest.mark.parametrize("corpus", [1, 2, 9, 11, 40, 500])
def test_nearest_are_those_of_a_plain_sort(
    monkeypatch: pytest.MonkeyPatch, block_rows: int, block_bytes: int, corpus: int
) -> None:
    monkeypatch.setattr(trainer.retrieval, "_BLOCK_ROWS", block_rows)
    monkeypatch.setattr(trainer.retrieval, "_BLOCK_BYTES", block_bytes)
    draw = np.random.default_rng(corpus)
    queries, candidates = draw.normal(size=(2, 600, 7)).astype(np.float32)
    candidate_rows = np.sort(draw.choice(600, corpus, replace=False))
    query_rows = draw.permutation(np.union1d(candidate_rows[:5], draw.choice(600, 3)))  # in the corpus, and not
    found = nearest(queries, query_rows, candidates, candidate_rows, 10)
    assert found.shape == (len(query_rows), min(10, corpus - 1))
    for query, rows in zip(query_rows, found, strict=True):
        others = candidate_rows[candidate_rows != query]
        expected = others[np.argsort(-(candidates[others] @ queries[query]), kind="stable")][: found.shape[1]]
        assert rows.tolist() == expected.tolist()


def test_among_many_that_are_the_same_each_is_found_once_and_never_oneself() -> None:
    candidates = np.ones((300, 4), dtype=np.float32)
    everyone = np.arange(300)
    found = nearest(candidates, everyone, candidates, everyone, 10)
    assert all(len(set(rows.tolist()) - {row}) == 10 for row, rows in enumerate(found))


def test_numbers_that_are_not_finite_count_as_zero() -> None:
    queries = np.ones((6, 3), dtype=np.float32)
    candidates = -np.arange(1, 7, dtype=np.float32)[:, None] * queries
    candidates[3] = np.nan
    candidates[4] = -np.inf
    queries[5] = np.nan
    found = nearest(queries, np.arange(6), candidates, np.arange(6), 3)
    assert [set(rows.tolist()) for rows in found[:3]] == [{3, 4, 1}, {3, 4, 0}, {3, 4, 0}]
    assert 5 not in found[5]


@pytest.mark.parametrize("width", [3, 16, 47, 48, 49, 64, 200, 1000])
@pytest.mark.parametrize("distinct", [2, 10**6])
def test_the_largest_are_the_largest(width: int, distinct: int) -> None:
    values = np.random.default_rng(width).integers(distinct, size=(20, width)).astype(np.float32)
    columns = largest(values, 3)
    assert all(len(set(row.tolist())) == 3 for row in columns)
    np.testing.assert_array_equal(np.take_along_axis(values, columns, axis=1), -np.sort(-values, axis=1)[:, :3])
