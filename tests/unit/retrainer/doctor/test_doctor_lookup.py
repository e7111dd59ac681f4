"""A fact that checks share is looked up once, and by nobody who only asks whether it is known."""

from __future__ import annotations

import pytest

from retrainer.doctor.lookup import Lookup


def test_an_answer_is_looked_up_once() -> None:
    looks: list[int] = []

    def look() -> int:
        looks.append(1)
        return len(looks)

    lookup = Lookup(look)
    before = lookup.known
    assert (before, looks) == (None, [])
    assert (lookup(), lookup(), lookup.known) == (1, 1, 1)
    assert Lookup.of(7).known == Lookup.of(7)() == 7


def test_an_answer_of_none_is_an_answer() -> None:
    looks: list[int] = []
    lookup: Lookup[None] = Lookup(lambda: looks.append(1))
    assert lookup() is lookup() is None
    assert looks == [1]


def test_a_look_that_raises_leaves_nothing_and_is_done_again() -> None:
    answers = iter([0, 5])
    lookup = Lookup(lambda: 10 // next(answers))
    with pytest.raises(ZeroDivisionError):
        lookup()
    before = lookup.known
    assert (before, lookup()) == (None, 2)
