"""A list is encoded thing by thing, so that a long one is never in memory as objects."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator

import pytest

from consumer.http.problems import listed


class Thing(dict[str, int]):
    """Something whose end can be seen."""


@pytest.mark.parametrize(("there", "limit"), [(0, 3), (2, 3), (3, 3), (9, 3)])
def test_at_most_two_are_in_memory_and_what_is_left_out_is_said(there: int, limit: int) -> None:
    alive = weakref.WeakValueDictionary[int, Thing]()

    def things() -> Iterator[Thing]:
        for number in range(there):
            assert len(alive) < 2
            alive[number] = thing = Thing(number=number)
            yield thing
            del thing

    told = json.loads(listed("things", things(), limit))
    assert told == {"things": [{"number": number} for number in range(min(there, limit))], "more": there > limit}


def test_the_last_may_come_first() -> None:
    assert json.loads(listed("things", iter([3, 2, 1, 0]), 3, turned=True)) == {"things": [1, 2, 3], "more": True}
