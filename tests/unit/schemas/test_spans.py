"""Lists of ranges hold exactly the offsets that were put into them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.spans import joined, united

_SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda at: (at[0], at[0] + at[1])), max_size=12)


def _offsets(spans: object) -> set[int]:
    return {offset for start, end in spans for offset in range(start, end)}  # type: ignore[attr-defined]


@settings(deadline=None)
@given(_SPANS)
def test_joined_ranges_hold_the_same_offsets_in_order_and_apart(spans: list[tuple[int, int]]) -> None:
    found = joined(spans)
    assert _offsets(found) == _offsets(spans)
    assert all(start < end for start, end in found)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert joined(found) == found


@settings(deadline=None)
@given(_SPANS, _SPANS)
def test_what_several_cover_is_covered_and_nothing_else(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    found = united({"t": {0: joined(one)}}, {"t": {"0": [list(span) for span in joined(other)], "1": [[1, 2]]}})
    assert _offsets(found["t"][0]) == _offsets(one) | _offsets(other)
    assert found["t"][1] == ((1, 2),)


def test_one_range_of_an_earlier_release_is_a_list_of_one() -> None:
    assert united({"t": {"0": [3, 9]}}, {"t": {0: ((9, 11), (20, 21))}}) == {"t": {0: ((3, 11), (20, 21))}}
