"""The label book: what it holds after any changes, whom it has wait, and what it tells as rows of the matrix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.labels import LabelGroup, PairKey
from schemas.policies import SplitPolicy
from stores.labels.checks import CheckedLabels
from tests.worlds import names
from trainer.labels.book import KnownLabels, LabelBook
from trainer.matrix.embeddings import UserMatrix
from trainer.matrix.population import populate
from trainer.matrix.split import Part, split

GROUP = LabelGroup()
SPLIT = SplitPolicy(holdout_share=0.3, dev_share=0.2)
Labels = dict[PairKey, tuple[bool, float, float]]


def checked(labels: Labels) -> CheckedLabels:
    positive, weight, at = zip(*labels.values(), strict=True) if labels else ((), (), ())
    return CheckedLabels(
        list(labels), np.array(positive, bool), np.array(weight, np.float32), np.array(at, np.float64), {}
    )


@pytest.fixture
def book(tmp_path: Path) -> Iterator[LabelBook]:
    with closing(LabelBook(tmp_path)) as found:
        yield found


@pytest.fixture
def matrix(tmp_path: Path) -> Iterator[UserMatrix]:
    """u0 to u39; u0 has no direction."""
    with closing(UserMatrix(tmp_path / "matrix", 4)) as found:
        users = names(40)
        directions = np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)
        directions[0] = 0.0
        found.apply(users, directions, lambda raw: raw, [])
        yield found


def known_labels(
    book: LabelBook, matrix: UserMatrix, group: LabelGroup = GROUP, changed: tuple[PairKey, ...] = ()
) -> KnownLabels:
    return book.known_labels(group, matrix, populate(matrix, SPLIT), changed)


USERS = st.sampled_from(names(6))
PAIRS = st.tuples(USERS, USERS).filter(lambda pair: pair[0] != pair[1])
LABELS = st.dictionaries(PAIRS, st.tuples(st.booleans(), st.just(1.0), st.integers(0, 3).map(float)), max_size=8)
CHANGES = st.lists(st.tuples(LABELS, st.lists(PAIRS, max_size=4)), max_size=6)


@settings(max_examples=60)
@given(begin=LABELS, changes=CHANGES)
def test_after_any_changes_it_holds_what_a_full_read_would(
    begin: Labels, changes: list[tuple[Labels, list[PairKey]]]
) -> None:
    with TemporaryDirectory() as folder, closing(LabelBook(Path(folder))) as book:
        book.replace(GROUP, checked(begin))
        truth = dict(begin)
        for upserts, deletes in changes:
            gone = [pair for pair in deletes if pair not in upserts]
            book.apply(checked(upserts), gone)
            book.apply(checked(upserts), gone)  # a cycle that is repeated
            truth = {pair: label for pair, label in (truth | upserts).items() if pair not in gone}
        assert book.labels() == truth
        assert len(book) == len(truth)
        assert book.holding([("u0", "u1"), ("u1", "u0")]) == (("u0", "u1") in truth) + (("u1", "u0") in truth)


def test_a_pair_is_held_out_when_either_end_is(book: LabelBook, matrix: UserMatrix) -> None:
    users = names(40)[1:]
    part = dict(zip(users, split(SPLIT, users).tolist(), strict=True))
    book.replace(GROUP, checked({(one, other): (True, 1.0, 0.0) for one in users for other in users if one < other}))
    outcomes = known_labels(book, matrix).outcomes
    key_of = {row: key for key, row in matrix.rows_of(users).items()}
    assert len(outcomes) == len(users) * (len(users) - 1) // 2
    for (one, other), found in zip(outcomes.pairs.tolist(), outcomes.part.tolist(), strict=True):
        ends = {part[key_of[one]], part[key_of[other]]}
        assert found == (Part.HOLDOUT if Part.HOLDOUT in ends else Part.DEV if Part.DEV in ends else Part.TRAIN)


def test_the_later_of_two_labels_counts_unless_labels_are_directed(book: LabelBook, matrix: UserMatrix) -> None:
    follow, block = {("u1", "u2"): (True, 1.0, 10.0)}, {("u2", "u1"): (False, 2.0, 20.0)}
    book.replace(GROUP, checked(follow | block | {("u3", "u4"): (True, 1.0, 0.0), ("u4", "u3"): (True, 3.0, 1.0)}))
    found = known_labels(book, matrix, changed=(("u2", "u1"),))
    assert found.overruled == 1
    assert found.outcomes.positive.tolist() == [False, True]
    assert found.outcomes.weight.tolist() == [2.0, 3.0]
    assert found.outcomes.changed.tolist() == [True, False]
    both_ways = known_labels(book, matrix, LabelGroup(directed=True))
    assert both_ways.overruled == 0
    assert len(both_ways.outcomes) == 4


def test_whoever_has_no_direction_takes_no_part_and_does_not_wait(book: LabelBook, matrix: UserMatrix) -> None:
    book.replace(GROUP, checked({("u0", "u1"): (True, 1.0, 0.0), ("u1", "nobody"): (True, 1.0, 0.0)}))
    found = known_labels(book, matrix)
    assert (len(found.outcomes), found.waiting) == (0, 1)


def test_labels_wait_for_their_users(book: LabelBook, matrix: UserMatrix) -> None:
    book.replace(GROUP, checked({("u1", "late"): (True, 1.0, 0.0)}))
    assert known_labels(book, matrix).waiting == 1
    matrix.apply(["late"], np.ones((1, 4), np.float32), lambda raw: raw / np.float32(2), [])
    found = known_labels(book, matrix)
    assert (len(found.outcomes), found.waiting) == (1, 0)


def test_of_too_many_that_wait_the_oldest_are_set_aside_and_missed_once_their_users_come(
    book: LabelBook, matrix: UserMatrix
) -> None:
    few = GROUP.model_copy(update={"max_waiting": 3})
    everything: Labels = {("u1", f"x{number}"): (True, 1.0, float(number)) for number in range(8)}
    book.replace(few, checked(everything))
    assert known_labels(book, matrix, few).waiting == 3
    assert book.set_aside == 5
    assert {other for _, other in book.labels()} == {"x5", "x6", "x7"}
    assert book.follows(few, matrix, ["u1"])
    assert not book.follows(few, matrix, ["u1", "x0"])  # whose label is gone: all have to be read once more
    book.replace(few, checked(everything))
    assert book.set_aside == 0


def test_a_book_of_another_group_or_of_none_is_not_followed(book: LabelBook, matrix: UserMatrix) -> None:
    assert not book.follows(GROUP, matrix, [])
    book.replace(GROUP, checked({}))
    assert book.follows(GROUP, matrix, ["new"])
    assert book.follows(GROUP.model_copy(update={"directed": True}), matrix, [])
    assert not book.follows(GROUP.model_copy(update={"words": {"like": True}}), matrix, [])
    assert not book.follows(GROUP.model_copy(update={"version": 2}), matrix, [])
