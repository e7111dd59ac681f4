"""Pairs of a notebook from what users did: nobody known is a stranger, and strangers are as popular."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.pairs import label_pairs


def _rows(count: int) -> Floats:
    """Rows whose first number says which they are."""
    return np.stack([np.arange(count), np.ones(count)], axis=1).astype(np.float32)


def _random(users: int, edges: int, seed: int) -> NDArray[np.int64]:
    draw = np.random.default_rng(seed)
    pairs = np.sort(draw.integers(users, size=(edges, 2)), axis=1)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), ratio=st.integers(1, 3), share=st.floats(0, 0.5))
def test_every_edge_is_there_once_and_nobody_known_is_a_stranger(seed: int, ratio: int, share: float) -> None:
    edges = _random(60, 120, seed)
    kind = np.random.default_rng(seed).random(len(edges)) >= share
    pairs, labels = label_pairs(_rows(60), np.column_stack([edges, kind.astype(int)]), ratio, seed)
    rows = pairs[:, :, 0].astype(int)
    known = set(map(tuple, edges.tolist()))
    refused = set(map(tuple, edges[~kind].tolist()))
    assert sorted(map(tuple, rows[labels == 1].tolist())) == sorted(map(tuple, edges[kind].tolist()))
    others = [tuple(sorted(pair)) for pair in rows[labels == 0].tolist()]
    assert [pair for pair in others if pair in known] == sorted(refused)
    assert all(one != other for one, other in others)
    assert len(others) == ratio * kind.sum() + len(refused)
    again, same = label_pairs(_rows(60), np.column_stack([edges, kind.astype(int)]), ratio, seed)
    assert (again == pairs).all()
    assert (same == labels).all()


def test_strangers_are_as_popular() -> None:
    draw = np.random.default_rng(0)
    fame = draw.lognormal(0.0, 1.0, 2000)
    pairs = np.sort(draw.choice(2000, (6000, 2), p=fame / fame.sum()), axis=1)
    edges = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    found, labels = label_pairs(_rows(2000), edges)
    popularity = np.bincount(edges.ravel(), minlength=2000)
    second = popularity[found[:, 1, 0].astype(int)]
    like, unlike = np.log(second[labels == 1] + 1).mean(), np.log(second[labels == 0] + 1).mean()
    assert abs(like - unlike) < 0.3 * abs(like - np.log(popularity + 1).mean())


def test_no_edges_make_no_pairs() -> None:
    pairs, labels = label_pairs(_rows(5), [])
    assert pairs.shape == (0, 2, 2)
    assert labels.shape == (0,)


@pytest.mark.parametrize(
    ("edges", "ratio", "told"),
    [
        ([[0, 9]], 1, "row 9"),
        ([[-1, 2]], 1, "row -1"),
        ([[1, 1]], 1, "to itself"),
        ([[0, 1, 2]], 1, "1 or 0"),
        ([[0, 1, 1], [1, 0, 0]], 1, "both 1 and 0"),
        ([[0.5, 1.0]], 1, "whole numbers"),
        ([0, 1], 1, "whole numbers"),
        ([[0, 1]], 0, "negative_ratio"),
    ],
)
def test_what_cannot_be_is_told(edges: list[object], ratio: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        label_pairs(_rows(5), edges, ratio)  # type: ignore[arg-type]


def test_embeddings_that_are_no_finite_table_are_told() -> None:
    with pytest.raises(ValueError, match="finite"):
        label_pairs([[1.0, np.nan], [0.0, 1.0]], [[0, 1]])
