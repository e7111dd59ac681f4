"""What a label says, what is refused, and reading many of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cycle import RefusedKind
from schemas.labels import LabelGroup, PairKey
from stores.label_store import LabelRows
from stores.labels.checks import LATEST, CheckedLabels, check_labels
from stores.labels.reading import absent, read_all, read_pairs

GROUP = LabelGroup(weight="strength")

ids = st.text(min_size=1, max_size=4)
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3)


def rows(*labels: object, weight: object = 1.0, at: float | None = 5.0) -> LabelRows:
    pairs = [(f"a{number}", f"b{number}") for number in range(len(labels))]
    return LabelRows(pairs, list(labels), [weight] * len(labels), [at] * len(labels))


def checked(*labels: object, weight: object = 1.0, at: float | None = 5.0) -> CheckedLabels:
    return check_labels(GROUP, rows(*labels, weight=weight, at=at))


def test_numbers_truth_values_and_words_say_similar_or_not() -> None:
    similar = [1, 1.0, "1", True, "true", "TRUE", "follow", " Accept\n", np.int64(1), np.bool_(True)]
    others = [0, 0.0, "0", False, "False", "dismiss", "BLOCK", np.float32(0)]
    found = checked(*similar, *others)
    assert not found.refused
    assert found.positive.tolist() == [True] * len(similar) + [False] * len(others)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        (None, "null"),
        ("", "''"),
        ("likes", "'likes'"),
        (2, "2"),
        (-1, "-1"),
        (0.5, "0.5"),
        (math.nan, "nan"),
        (b"1", "b'1'"),
        ([1], "[1]"),
        ("x" * 90, "x…"),
    ],
)
def test_anything_else_is_refused_and_named(label: object, shown: str) -> None:
    (why,) = checked(label).refused.values()
    assert why.startswith("label is ")
    assert f"{shown}, neither 1 nor 0 nor one of follow, accept, dismiss, block" in why
    assert len(why) < 120


def test_words_are_the_groups_own() -> None:
    group = LabelGroup(words={"Befreundet": True, " stumm ": False})
    found = check_labels(group, rows("befreundet", "STUMM", "follow"))
    assert found.positive.tolist() == [True, False]
    assert list(found.refused) == [("a2", "b2")]


def test_a_weight_is_a_finite_number_above_zero_and_null_is_one() -> None:
    assert checked(1, weight=None).weight.tolist() == [1.0]
    assert checked(1, weight=2).weight.tolist() == [2.0]
    for weight in (0, -1.0, math.nan, math.inf, 1e300, 1e-300, "2", True):
        (why,) = checked(1, weight=weight).refused.values()
        assert why == f"strength is {weight!r}, not a finite number above 0"


def test_a_time_that_says_nothing_makes_the_oldest_label_and_refuses_none() -> None:
    for at in (None, -1.0, math.nan, math.inf, LATEST, 1.7e12):
        assert checked(1, at=at).at.tolist() == [0.0]
    assert checked(1, at=1.7e9).at.tolist() == [1.7e9]
    assert checked(1, at=4e9).at.tolist() == [4e9]  # in the future, as somebody's clock may be: kept as it is


def test_who_labels_himself_is_refused() -> None:
    found = check_labels(GROUP, LabelRows([("a", "a"), ("a", "A")], [1, 1], [1.0, 1.0], [0.0, 0.0], keyless=3))
    assert found.refused == {("a", "a"): "a user labels himself"}
    assert found.pairs == [("a", "A")]
    assert (found.keyless, found.kinds) == (3, {RefusedKind.SELF: 1})


def test_refused_labels_are_counted_by_the_kind_of_the_reason() -> None:
    found = check_labels(GROUP, rows("follow", "?", None))
    assert found.kinds == {RefusedKind.LABEL: 2}
    assert checked(1, weight=0).kinds == {RefusedKind.WEIGHT: 1}


@given(st.dictionaries(st.tuples(ids, ids), st.tuples(values, values, st.none() | st.floats()), max_size=8))
def test_every_label_is_kept_or_refused_and_what_is_kept_can_be_used(
    given_labels: dict[PairKey, tuple[object, object, float | None]],
) -> None:
    labels, weights, times = zip(*given_labels.values(), strict=True) if given_labels else ((), (), ())
    found = check_labels(GROUP, LabelRows(list(given_labels), list(labels), list(weights), list(times)))
    assert sorted([*found.pairs, *found.refused]) == sorted(given_labels)
    assert found.positive.shape == found.weight.shape == found.at.shape == (len(found),)
    assert (np.isfinite(found.weight) & (found.weight > 0)).all()
    assert (np.isfinite(found.at) & (found.at >= 0)).all()


class MemoryLabels:
    """Labels in memory, in batches of three."""

    def __init__(self, labels: Mapping[PairKey, object]) -> None:
        self._labels = labels

    def check_contract(self) -> None:
        pass

    def snapshot(self, changed: Collection[PairKey]) -> Iterator[LabelRows]:  # noqa: ARG002
        everything = list(self._labels)
        for start in range(0, len(everything), 3):
            yield self.read(everything[start : start + 3])

    def read(self, pairs: Sequence[PairKey]) -> LabelRows:
        found = [pair for pair in pairs if pair in self._labels]
        return LabelRows(found, [self._labels[pair] for pair in found], [1.0] * len(found), [None] * len(found), 1)

    def count(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def test_all_labels_are_read_in_batches_and_each_batch_is_told() -> None:
    pairs = [("u", f"v{number}") for number in range(7)]
    store, told = MemoryLabels(dict.fromkeys(pairs[:-1], "follow") | {pairs[-1]: "?"}), list[int]()
    found = read_all(store, GROUP, (), told.append)
    assert (found.pairs, list(found.refused), found.keyless) == (pairs[:-1], pairs[-1:], 3)
    assert told == [3, 6, 6]


def test_a_label_that_is_absent_is_deleted_and_one_that_is_refused_is_not() -> None:
    store = MemoryLabels({("a", "b"): 1, ("a", "c"): "?"})
    asked = [("a", "b"), ("a", "c"), ("a", "d")]
    assert absent(asked, read_pairs(store, GROUP, asked, lambda _read: None)) == [("a", "d")]


def test_a_group_without_labels_is_believed() -> None:
    assert len(read_all(MemoryLabels({}), GROUP, (), lambda _read: None)) == 0
    assert absent([("a", "b")], read_pairs(MemoryLabels({}), GROUP, [("a", "b")], lambda _read: None)) == [("a", "b")]
