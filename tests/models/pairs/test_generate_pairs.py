"""The notebook's function on our kernel: the same pairs as the graph's, and negatives that are dissimilar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from tests.models.pairs.test_graph import as_set, low_rank, rows_of
from trainer.pairs import bounds_tuning, generate_pairs
from trainer.pairs.bounds import Bounds
from trainer.pairs.graph import Graph, update_graph
from trainer.pairs.negatives import draw_partners
from trainer.pairs.precision import Precision
from trainer.pairs.similarity import similarity
from trainer.pairs.view import View


def distinct(seed: int = 0, count: int = 120) -> Floats:
    """Rows of many lengths, all different, a few of them zero; some similar and most not."""
    rows = np.concatenate([rows_of("clusters", seed, count // 3), rows_of("sparse", seed + 1, count - count // 3)])
    return (rows * np.random.default_rng(seed).lognormal(0, 3, size=(count, 1))).astype(np.float32)


def rows_in(given: Floats, pairs: Floats) -> NDArray[np.int64]:
    """(pairs, 2) the row of `given` that each end is, by its very bytes."""
    row_of = {row.tobytes(): at for at, row in enumerate(given)}
    return np.array([[row_of[end.tobytes()] for end in pair] for pair in pairs], dtype=np.int64).reshape(-1, 2)


def unit(given: Floats) -> Floats:
    length = np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)
    rows: Floats = np.divide(given, length, out=np.zeros(given.shape), where=length > 0).astype(np.float32)
    return rows


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("ratio", [1, 3])
def test_pairs_are_the_graphs_and_each_has_its_dissimilar_ones(threshold: float, ratio: int) -> None:
    given = distinct()
    pairs, labels = generate_pairs(given, similarity_threshold=threshold, negative_ratio=ratio)
    assert pairs.shape == (len(labels), 2, given.shape[1])
    assert pairs.dtype == np.float32
    assert labels.shape == (len(labels),)
    assert set(labels.tolist()) == {0, 1}

    directions = unit(given)
    policy = PairPolicy(similarity_threshold=threshold, max_positives_per_user=None)
    view = View(directions, Bounds.plain(directions), np.arange(len(given)))
    graph = update_graph(Graph.empty(policy), view, np.arange(len(given)), policy).graph

    rows = rows_in(given, pairs)
    similar, dissimilar = rows[labels == 1], rows[labels == 0]
    assert [tuple(pair) for pair in similar.tolist()] == sorted(as_set(graph.pairs()))
    near = similarity(directions, dissimilar[:, 0], dissimilar[:, 1])
    assert (near <= threshold).all()
    assert (dissimilar[:, 0] != dissimilar[:, 1]).all()
    assert directions[dissimilar].any(axis=2).all()
    assert labels.tolist() == [1, *[0] * ratio] * len(similar)
    np.testing.assert_array_equal(dissimilar[:, 0], np.repeat(similar[:, 0], ratio))


def test_what_is_given_is_not_touched_and_any_length_is_one() -> None:
    given = distinct(1)
    copy = given.copy()
    pairs, labels = generate_pairs(given, seed=4)
    np.testing.assert_array_equal(given, copy)
    same, same_labels = generate_pairs(unit(given), seed=4)
    np.testing.assert_array_equal(labels, same_labels)
    np.testing.assert_array_equal(rows_in(given, pairs), rows_in(unit(given), same))


def test_the_seed_decides_the_negatives_and_nothing_else() -> None:
    given = distinct(2)
    first, again, other = (generate_pairs(given, seed=seed) for seed in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(first[1], other[1])
    np.testing.assert_array_equal(first[0][first[1] == 1], other[0][other[1] == 1])
    assert (first[0] != other[0]).any()
    np.testing.assert_array_equal(generate_pairs(given)[0], first[0])


def test_everybody_dissimilar_may_be_drawn_and_nobody_is_their_own_partner() -> None:
    given = distinct(4, 30)
    near = unit(given).astype(np.float64) @ unit(given).T.astype(np.float64)
    drawn: dict[int, set[int]] = {}
    for seed in range(20):
        pairs, labels = generate_pairs(given, negative_ratio=20, seed=seed)
        for one, other in rows_in(given, pairs[labels == 0]).tolist():
            drawn.setdefault(one, set()).add(other)
    there = given.any(axis=1)
    for row, partners in drawn.items():
        assert partners == set(np.flatnonzero(there & (near[row] <= 0.8)).tolist())
    assert drawn

    short = np.array([[0.1, 0.0], [0.0, 1.0]], dtype=np.float32)  # of a row this short not even the user is similar
    alone = draw_partners(short, np.array([0]), np.array([0]), 0.8, np.random.default_rng(0))
    both = draw_partners(short, np.array([0] * 50), np.array([0, 1]), 0.8, np.random.default_rng(0))
    assert alone.tolist() == [-1]
    assert set(both.tolist()) == {1}


def test_what_the_notebook_passes_is_what_is_meant_by_default() -> None:
    given = distinct(3)
    ours, labels = generate_pairs(given)
    named, named_labels = generate_pairs(embeddings=given, similarity_threshold=0.8, negative_ratio=1)
    np.testing.assert_array_equal(ours, named)
    np.testing.assert_array_equal(labels, named_labels)


@pytest.mark.parametrize("given", [np.empty((0, 5)), np.zeros((4, 5)), np.eye(5), np.ones((1, 5)), np.empty((3, 0))])
def test_without_similar_users_there_are_no_pairs(given: Floats) -> None:
    pairs, labels = generate_pairs(given)
    assert pairs.shape == (0, 2, given.shape[1])
    assert labels.shape == (0,)


def test_where_everybody_is_similar_there_are_no_negatives() -> None:
    pairs, labels = generate_pairs(rows_of("dense", 0, 30)[:, :4] + np.float32(1), negative_ratio=2)
    assert labels.tolist() == [1] * (30 * 29 // 2)
    assert len(pairs) == len(labels)


def test_lists_doubles_and_numbers_of_any_size_are_accepted() -> None:
    assert generate_pairs([[1, 0], [2, 0], [0, 1]])[1].tolist() == [1, 0]
    rows = distinct(5, 60)
    rows = rows[rows.any(axis=1)]
    expected = generate_pairs(unit(rows), seed=1)[1]
    for scale in (1e-18, 1e18):
        np.testing.assert_array_equal(generate_pairs(unit(rows) * np.float32(scale), seed=1)[1], expected)
    np.testing.assert_array_equal(generate_pairs(unit(rows).astype(np.float64), seed=1)[1], expected)


@pytest.mark.parametrize("precisions", [*((one,) for one in Precision), tuple(Precision)])
def test_pairs_by_short_products_are_all_there(
    precisions: tuple[Precision, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds_tuning, "fast_precisions", lambda: precisions)
    given = low_rank(0, 1500, 40, 4)
    pairs, labels = generate_pairs(given, similarity_threshold=0.95)
    near = np.triu(given.astype(np.float64) @ given.T.astype(np.float64), 1)
    assert (labels == 1).sum() == (near > 0.95).sum() > 100
    assert len(pairs) == 2 * (near > 0.95).sum()
    for threshold in (0.02, 0.3):
        _, labels = generate_pairs(given[:300], similarity_threshold=threshold)
        assert (labels == 1).sum() == (near[:300, :300] > threshold).sum()


def broken(value: float) -> Floats:
    rows = distinct(0, 9)
    rows[7, 2] = value
    return rows


BAD: list[tuple[dict[str, Any], str]] = [
    ({"embeddings": broken(np.nan)}, "embeddings must be finite, row 7"),
    ({"embeddings": broken(np.inf)}, "embeddings must be finite, row 7"),
    ({"embeddings": np.zeros(5)}, r"embeddings must be a table \(users, width\), got shape \(5,\)"),
    ({"embeddings": np.zeros((2, 3, 4))}, r"got shape \(2, 3, 4\)"),
    ({"embeddings": []}, r"got shape \(0,\)"),
    ({"embeddings": 3.0}, r"got shape \(\)"),
    ({"embeddings": [[1.0, 2.0], [3.0]]}, "embeddings"),
    ({"embeddings": [["a", "b"]]}, "embeddings"),
    ({"embeddings": [[1j, 0]]}, "embeddings"),
    *(({"similarity_threshold": value}, "similarity_threshold") for value in (0.0, 1.0, -0.3, 1.5, np.nan, "high")),
    *(({"negative_ratio": value}, "negative_ratio") for value in (0, -1, 1.5)),
    ({"embeddings": np.array([[1.0, 0.0], [1e300, 1.0]])}, "embeddings must be finite, row 1"),
    ({"seed": -1}, "non-negative"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_what_is_out_of_range_is_refused_by_name(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate_pairs(**{"embeddings": distinct(), **wrong})


@pytest.mark.parametrize("ratio", [2.0, np.int64(2)])
def test_a_whole_number_may_come_as_any_kind_of_number(ratio: Any) -> None:
    expected, labels = generate_pairs(distinct(), negative_ratio=2)
    pairs, same = generate_pairs(distinct(), negative_ratio=ratio, similarity_threshold=np.float64(0.8))
    np.testing.assert_array_equal(pairs, expected)
    np.testing.assert_array_equal(same, labels)
