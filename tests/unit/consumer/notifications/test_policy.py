"""Which alerts and news are told: every lasting one once, no storm, whatever happens and whenever it restarts."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.notifications.policy import Memory, Rules, Step, judge, sort_news
from schemas.model_events import ModelEventType
from schemas.watching.notifications import AlertName

RULES = Rules(settle=60.0, repeat=3600.0, per_hour=20)
EVERY = 10.0
ALL = frozenset({"promotion", "refusal"})
NAMES = [AlertName.HELD, AlertName.STALLED, AlertName.FRESHNESS_AT_RISK, AlertName.FRESHNESS_BROKEN]


class World:
    """Alerts on record, as the ledger keeps them; what is in memory goes with a restart."""

    def __init__(self) -> None:
        self.now = 0.0
        self.record: dict[AlertName, float] = {}
        self.memory = Memory()
        self.told: list[tuple[float, Step, AlertName]] = []

    def look(self, seen: dict[AlertName, bool], seconds: float = EVERY) -> None:
        self.now += seconds
        steps, self.memory = judge(RULES, seen, self.record, self.memory, self.now)
        for step, name in steps:
            if step in {Step.BEGINS, Step.LASTS}:
                self.record[name] = self.now
            else:
                del self.record[name]
            if step is not Step.REPLACED:
                self.told.append((self.now, step, name))

    def last(self, seen: dict[AlertName, bool], seconds: float) -> None:
        for _ in range(int(seconds / EVERY)):
            self.look(seen)

    def restart(self) -> None:
        self.memory = Memory()

    def steps_of(self, name: AlertName) -> list[Step]:
        return [step for _, step, one in self.told if one is name]


def test_what_lasts_is_told_at_its_onset_again_after_a_while_and_once_when_it_is_over() -> None:
    world = World()
    world.last({AlertName.HELD: True}, 2.5 * 3600)
    world.last({AlertName.HELD: False}, 3600)
    assert world.steps_of(AlertName.HELD) == [Step.BEGINS, Step.LASTS, Step.LASTS, Step.OVER]
    began, first, second, over = (at for at, _, _ in world.told)
    assert began == 10 + 60
    assert (first - began, second - first) == (3600, 3600)
    assert over == 2.5 * 3600 + 10 + 60


@pytest.mark.parametrize("short", [10.0, 50.0])
def test_what_is_over_before_it_has_settled_is_not_told(short: float) -> None:
    world = World()
    for _ in range(50):
        world.last({AlertName.STALLED: True}, short)
        world.last({AlertName.STALLED: False}, short)
    assert world.told == []


def test_a_flap_in_the_middle_does_not_end_it() -> None:
    world = World()
    for _ in range(20):
        world.last({AlertName.STALLED: True}, 100)
        world.last({AlertName.STALLED: False}, 50)
    assert world.steps_of(AlertName.STALLED) == [Step.BEGINS]


def test_what_is_not_known_neither_begins_nor_ends() -> None:
    world = World()
    world.last({AlertName.HELD: True}, 100)
    world.last({}, 1000)
    assert world.steps_of(AlertName.HELD) == [Step.BEGINS]
    world.last({AlertName.HELD: False}, 50)
    world.last({}, 1000)
    world.last({AlertName.HELD: False}, 50)
    assert world.steps_of(AlertName.HELD) == [Step.BEGINS]
    world.last({AlertName.HELD: False}, 20)
    assert world.steps_of(AlertName.HELD) == [Step.BEGINS, Step.OVER]


def test_a_promise_that_breaks_is_not_told_as_kept_again() -> None:
    world, risk, broken = World(), AlertName.FRESHNESS_AT_RISK, AlertName.FRESHNESS_BROKEN
    world.last({risk: True, broken: False}, 100)
    world.last({broken: True}, 100)
    world.last({risk: False, broken: False}, 100)
    assert [(step, name) for _, step, name in world.told] == [
        (Step.BEGINS, risk),
        (Step.BEGINS, broken),
        (Step.OVER, broken),
    ]
    assert world.record == {}


LOOKS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(NAMES), st.booleans()),
        st.integers(1, 40),  # looks for which it stays so
        st.booleans(),  # whether it restarts after that
    ),
    max_size=40,
)


@given(LOOKS)
def test_no_sequence_of_states_and_restarts_makes_a_storm_or_tells_twice(
    looks: list[tuple[dict[AlertName, bool], int, bool]],
) -> None:
    world = World()
    for seen, count, restarts in looks:
        for _ in range(count):
            world.look(seen)
        if restarts:
            world.restart()
    for name in NAMES:
        told = [(at, step) for at, step, one in world.told if one is name]
        stronger = name is AlertName.FRESHNESS_AT_RISK
        for (_, before), (_, after) in itertools.pairwise(told):
            # Onset and end take turns; only the record of a stronger alert may take an end's place.
            assert (before is Step.OVER) == (after is Step.BEGINS) or (stronger and after is Step.BEGINS)
        assert not told or told[0][1] is Step.BEGINS
        ends = [at for at, step in told if step in {Step.BEGINS, Step.OVER}]
        assert all(later - earlier >= RULES.settle for earlier, later in itertools.pairwise(ends))
        again = [at for at, step in told if step in {Step.BEGINS, Step.LASTS}]
        for (earlier, _), (later, step) in itertools.pairwise(told):
            assert step is not Step.LASTS or later - earlier >= RULES.repeat
        assert len(again) <= world.now / RULES.settle + 1


@given(st.integers(0, 30), st.integers(0, 30), st.lists(st.integers(0, 29), max_size=3))
def test_what_lasts_long_enough_is_told_once_whenever_it_restarts(wrong: int, well: int, restarts: list[int]) -> None:
    world = World()
    for at in range(30 + wrong):  # the last restart leaves time to settle
        if at in restarts:
            world.restart()
        world.look({AlertName.HELD: True})
    for at in range(well + 30):
        if at in [one for one in restarts if one < well]:
            world.restart()
        world.look({AlertName.HELD: False})
    late = max((one for one in restarts), default=0)
    if 30 + wrong - late > 6:
        assert world.steps_of(AlertName.HELD) == [Step.BEGINS, Step.OVER]
    else:
        assert Counter(world.steps_of(AlertName.HELD))[Step.BEGINS] <= 1


P, R, REG, H = (
    ModelEventType.PROMOTED,
    ModelEventType.REFUSED,
    ModelEventType.REGISTERED,
    ModelEventType.HELD,
)


def sort(
    *kinds: ModelEventType, row_told: float | None = None, now: float = 0.0, wanted: frozenset[str] = ALL
) -> dict[str, Any]:
    news = [(f"{kind.name[0].lower()}{at}", kind) for at, kind in enumerate(kinds)]
    found = sort_news(news, wanted=wanted, row_told=row_told, repeat=3600.0, now=now)
    return {
        "silent": list(found.silent),
        "promotions": list(found.promotions.events),
        "refusals": list(found.refusals.events),
        "over": found.row_over,
    }


def test_the_first_refusal_is_told_at_once_and_those_in_a_row_once_in_a_while() -> None:
    assert sort(R)["refusals"] == ["r0"]
    assert sort(R, R, row_told=0.0, now=3599.0) == {"silent": [], "promotions": [], "refusals": [], "over": False}
    assert sort(R, R, row_told=0.0, now=3600.0)["refusals"] == ["r0", "r1"]


def test_a_version_ends_the_row() -> None:
    found = sort(R, R, P, row_told=0.0)
    assert found == {"silent": [], "promotions": ["r0", "r1", "p2"], "refusals": [], "over": True}
    assert sort(P, R, row_told=0.0)["refusals"] == ["r1"]
    assert sort(R, REG, row_told=0.0) == {"silent": ["r0", "r1"], "promotions": [], "refusals": [], "over": True}


def test_what_an_alert_tells_is_no_news() -> None:
    assert sort(H)["silent"] == ["h0"]


def test_kinds_that_nobody_wants_are_decided_of_without_a_word() -> None:
    assert sort(P, R, wanted=frozenset())["silent"] == ["p0", "r1"]
    assert sort(R, P, wanted=frozenset({"promotion"})) == {
        "silent": ["r0"],
        "promotions": ["p1"],
        "refusals": [],
        "over": True,
    }
    assert sort(P, R, wanted=frozenset({"refusal"})) == {
        "silent": ["p0"],
        "promotions": [],
        "refusals": ["r1"],
        "over": True,
    }


@given(st.lists(st.lists(st.sampled_from([P, R, REG, H]), max_size=4), max_size=60), st.sets(st.sampled_from([*ALL])))
def test_every_event_is_decided_of_once_and_refusals_make_no_storm(
    looks: list[list[ModelEventType]], wanted: set[str]
) -> None:
    """A look every ten minutes; what waits comes again at the next look."""
    number, row_told, now = 0, None, 0.0
    unseen: list[tuple[str, ModelEventType]] = []
    decided: list[str] = []
    messages = {"promotion": 0, "refusal": 0}
    came = Counter(kind for look in looks for kind in look)
    for look in looks:
        now += 600.0
        for kind in look:
            unseen.append((f"e{number}", kind))
            number += 1
        found = sort_news(unseen, wanted=frozenset(wanted), row_told=row_told, repeat=3600.0, now=now)
        if found.row_over:
            row_told = None
        if found.refusals.events:
            row_told = now
            messages["refusal"] += 1
        messages["promotion"] += bool(found.promotions.events)
        done = [*found.silent, *found.promotions.events, *found.refusals.events]
        decided += done
        unseen = [one for one in unseen if one[0] not in done]
    assert len(set(decided)) == len(decided)
    assert all(kind is R and "refusal" in wanted for _, kind in unseen)
    assert set(decided) | {event for event, _ in unseen} == {f"e{at}" for at in range(number)}
    assert messages["promotion"] <= came[P]
    assert messages["refusal"] <= came[P] + came[REG] + len(looks) / 6 + 1
    alone = any(look and look[-1] is R for look in looks)
    assert messages["refusal"] > 0 or not ("refusal" in wanted and alone)
