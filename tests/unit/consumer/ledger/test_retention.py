"""What stays and what goes, for any versions and any needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumer.ledger.retention.policy import retention

VERSIONS = st.sets(st.integers(1, 60))
NEEDS = st.dictionaries(st.integers(1, 70), st.lists(st.sampled_from(["the champion", "pinned"]), min_size=1))
KEEP = st.none() | st.integers(1, 70)


@given(VERSIONS, KEEP, NEEDS)
def test_each_version_stays_with_a_reason_or_goes(
    versions: set[int], keep: int | None, needs: dict[int, list[str]]
) -> None:
    found = retention(versions, keep, needs)
    assert found.stays.keys() | set(found.goes) == versions
    assert not found.stays.keys() & set(found.goes)
    assert all(found.stays.values())
    assert list(found.goes) == sorted(found.goes)


@given(VERSIONS, KEEP, NEEDS)
def test_nothing_goes_that_is_needed_or_new(versions: set[int], keep: int | None, needs: dict[int, list[str]]) -> None:
    found = retention(versions, keep, needs)
    assert not needs.keys() & set(found.goes)
    assert all(set(needs[version]) <= set(found.stays[version]) for version in needs.keys() & versions)
    newest = sorted(versions)[-keep:] if keep is not None else versions
    assert set(newest) <= found.stays.keys()


@given(VERSIONS, st.integers(1, 70), NEEDS)
def test_no_more_stay_than_the_newest_and_the_needed(
    versions: set[int], keep: int, needs: dict[int, list[str]]
) -> None:
    assert len(retention(versions, keep, needs).stays) <= keep + len(needs)


@given(VERSIONS, st.integers(1, 70), NEEDS)
def test_what_stays_still_stays_when_the_others_are_gone(
    versions: set[int], keep: int, needs: dict[int, list[str]]
) -> None:
    stays = retention(versions, keep, needs).stays
    again = retention(stays.keys(), keep, needs)
    assert again.goes == ()


def test_the_reasons_are_told() -> None:
    found = retention([1, 2, 3, 4], 2, {1: ["the baseline"], 4: ["the champion"]})
    assert found.goes == (2,)
    assert found.stays == {
        1: ("the baseline",),
        3: ("one of the newest 2",),
        4: ("the champion", "one of the newest 2"),
    }
    assert retention([1], None, {}).stays == {1: ("all versions are kept",)}
