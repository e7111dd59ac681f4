"""What is wrong, what is well, and what is not known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from consumer.clock import Clock
from consumer.ledger.efforts import Failed
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.views import Held
from consumer.listener.state import ListenerState
from consumer.notifications.conditions import Limits, conditions, in_brief
from consumer.notifications.facts import Facts, LedgerFacts, Looking
from consumer.settings import Settings, load_settings
from consumer.status import Status, write_status
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.watching.notifications import AlertName
from tests.contract.ledgers import P0, batch, begin, take

NOW = 1_000_000.0
LIMITS = Limits(deaf=90.0, no_version_for=1000.0, dead_letters=3)
STATUS = Status(pid=1, state="listening", written_at=NOW, polled_at=NOW, lag=0, hold="nothing is pending", cycle=None)
WELL = LedgerFacts(champion=3)
FACTS = Facts(NOW, STATUS, ledger=WELL)
HELD = Held("c7", "incremental", "too many refused", "look at the rows", NOW, 1, None)


@dataclass(frozen=True)
class Verdict:
    state: str
    reason: str | None = None


def wrong(facts: Facts, limits: Limits = LIMITS) -> dict[str, str]:
    return {name.value: one.subject for name, one in conditions(facts, limits).items() if one is not None}


def of_ledger(**more: Any) -> Facts:
    return replace(FACTS, ledger=replace(WELL, **more))


def of_status(**more: Any) -> Facts:
    return replace(FACTS, status=replace(STATUS, **more))


def test_all_is_well_and_known_to_be() -> None:
    found = conditions(replace(FACTS, freshness=Verdict("kept")), LIMITS)
    assert set(found) == set(AlertName)
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    ("facts", "name", "said"),
    [
        (of_ledger(held=HELD), "held", "A cycle is held: too many refused"),
        (of_ledger(failed=Failed("c9", 3, "x", NOW, 1)), "failing", "Cycle c9 failed, and was given up after 3"),
        (of_ledger(open_letters=3), "dead_letters", "3 dead letters are open"),
        (of_ledger(reading_paused=True), "dead_letters", "Reading has paused"),
        (of_ledger(gaps=2), "gaps", "Events were lost before they were read: 2 gaps"),
        (of_ledger(unlearned_since=NOW - 1000), "no_version", "Changes have waited for 17 minutes"),
        (of_status(trouble="disk full"), "trouble", "Ledger or disk cannot be used: disk full"),
        (of_status(unable="broker away: refused"), "stalled", "The service cannot read its topic: broker away"),
        (replace(FACTS, deaf=91.0), "stalled", "The listener has not polled for 91 seconds"),
        (replace(FACTS, silent=31.0), "stalled", "The service has not moved for 31 seconds"),
        (replace(FACTS, reading_still=301.0), "stalled", "Nothing has been read for 5 minutes"),
        (replace(of_ledger(untried=5), idle=301.0), "stalled", "No cycle has started for 5 minutes"),
        (replace(FACTS, freshness=Verdict("broken", "late")), "freshness_broken", "The freshness promise is broken: l"),
        (replace(FACTS, freshness=Verdict("at_risk", "late")), "freshness_at_risk", "The freshness promise is at risk"),
    ],
)
def test_each_thing_that_is_wrong_is_told_in_a_sentence(facts: Facts, name: str, said: str) -> None:
    found = wrong(facts)
    assert set(found) == {name}
    assert found[name].startswith(said)


@pytest.mark.parametrize(
    "facts",
    [
        of_ledger(open_letters=2),
        of_ledger(unlearned_since=NOW - 999),
        replace(FACTS, deaf=90.0),
        replace(FACTS, idle=301.0),  # nothing waits
        replace(of_ledger(untried=5), idle=299.0),
    ],
)
def test_below_its_limit_nothing_is_wrong(facts: Facts) -> None:
    assert wrong(facts) == {}


def test_without_a_limit_changes_may_wait_for_ever() -> None:
    assert wrong(of_ledger(unlearned_since=0.0), replace(LIMITS, no_version_for=None)) == {}


def test_a_pause_that_was_forgotten_is_named() -> None:
    (found,) = [one for one in conditions(of_ledger(unlearned_since=0.0, paused=True), LIMITS).values() if one]
    assert found.details == "Cycles are paused by order of a person."


def test_what_cannot_be_asked_is_not_known() -> None:
    found = conditions(replace(FACTS, ledger=None, ledger_error="server closed the connection"), LIMITS)
    assert set(found) == {AlertName.TROUBLE}  # which explains that nothing moves
    assert conditions(Facts(NOW), LIMITS) == {}


def test_of_what_databases_say_only_the_first_line_is_told() -> None:
    assert in_brief("duplicate key\nDETAIL: Key (user_id)=(u17) exists") == "duplicate key"
    assert len(in_brief("x" * 1000)) == 300


class Hands:
    """A clock that goes as told."""

    def __init__(self) -> None:
        self.now = NOW

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    return load_settings()


@pytest.fixture
def opened(own: Settings) -> Iterator[Ledger]:
    with closing(open_ledger(own.ledger.url)) as ledger:
        yield ledger


def write(own: Settings, hands: Hands, **more: Any) -> None:
    told: dict[str, Any] = {"pid": os.getpid(), "written_at": hands.now, "polled_at": hands.now, **more}
    write_status(own.status_file, replace(STATUS, **told))


def test_only_the_status_of_this_process_counts(own: Settings, opened: Ledger) -> None:
    hands = Hands()
    looking = Looking(own, opened, hands.clock())
    assert looking.look().status is None
    write(own, hands, pid=os.getpid() + 1)
    assert looking.look().status is None
    write(own, hands)
    hands.now += 7
    found = looking.look()
    assert found.status is not None
    assert (found.silent, found.deaf) == (7.0, 7.0)


def test_a_listener_that_has_not_polled_yet_is_not_deaf_since_the_epoch(own: Settings, opened: Ledger) -> None:
    hands = Hands()
    looking = Looking(own, opened, hands.clock())
    for seconds in (7.0, 200.0):
        hands.now = NOW + seconds
        write(own, hands, polled_at=0.0)
        assert looking.look().deaf == seconds


def test_it_is_known_since_when_nothing_moves_though_there_is_work(own: Settings, opened: Ledger) -> None:
    hands = Hands()
    looking = Looking(own, opened, hands.clock())
    begin(opened)

    def look(**more: Any) -> Facts:
        hands.now += 100
        write(own, hands, **more)
        return looking.look()

    assert look(lag=5, hold=None).reading_still == 0.0  # the first look
    found = look(lag=5, hold=None)
    assert (found.reading_still, found.idle) == (100.0, 200.0)
    opened.intake.record(batch(P0, 0, ["a"]))
    found = look(lag=4, hold=None)
    assert (found.reading_still, found.idle) == (0.0, 300.0)
    assert look(lag=4, hold="threshold").idle == 0.0
    assert look(lag=None).reading_still == 0.0
    assert look(lag=4, state=ListenerState.TOO_MANY_DEAD_LETTERS).reading_still == 0.0


def test_changes_wait_since_they_came_or_since_the_first_cycle_that_did_not_settle_them(
    own: Settings, opened: Ledger
) -> None:
    looking, fence = Looking(own, opened, Hands().clock()), take(opened)
    begin(opened)

    def since() -> float | None:
        found = looking.look().ledger
        assert found is not None
        return found.unlearned_since

    def cycle(outcome: Outcome, at: float, version: int | None = None) -> None:
        claim = opened.cycles.claim(CycleKind.FULL, "in turn", at, fence=fence)
        base = claim.base_version
        result = CycleResult(cycle_id=claim.cycle_id, outcome=outcome, reason="r", base_version=base, version=version)
        opened.cycles.settle(result, at + 1, fence=fence)

    assert since() is None
    opened.intake.record(batch(P0, 0, ["a"], now=100.0))
    assert since() == 100.0
    cycle(Outcome.REGISTERED, 200.0, 1)
    assert since() is None
    opened.intake.record(batch(P0, 1, ["b"], now=300.0))
    cycle(Outcome.REJECTED, 400.0)
    cycle(Outcome.REJECTED, 500.0)
    assert since() == 400.0
    opened.intake.record(batch(P0, 2, ["c"], now=600.0))
    assert since() == 400.0
    cycle(Outcome.REGISTERED, 700.0, 2)
    assert since() is None


def test_a_ledger_that_cannot_be_read_is_a_fact(own: Settings, opened: Ledger) -> None:
    with opened.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE gaps")
    found = Looking(own, opened, Hands().clock()).look()
    assert (found.ledger, found.ledger_error) == (None, "no such table: gaps")
