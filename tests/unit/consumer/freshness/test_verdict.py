"""The verdict: what counts, what is foreseen, what stands in the way, and the way out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.configuration.slo import SloSettings
from consumer.cycles.trigger_terms import Hold
from consumer.freshness.forecast import Outlook
from consumer.freshness.verdict import FreshnessState, Verdict, judge, verdict_in_words
from consumer.ledger.watching.kept import Kept, kept_of
from consumer.ledger.watching.unlearned import Waiting
from schemas.policies import TriggerPolicy
from schemas.times.quiet_hours import Span

NOW = datetime(2026, 6, 1, 23, 0, tzinfo=UTC).timestamp()
SIX = NOW + 7 * 3600
PROMISE = SloSettings(freshness=1800.0)
POLICY = TriggerPolicy()
KEPT, AT_RISK, BROKEN = FreshnessState.KEPT, FreshnessState.AT_RISK, FreshnessState.BROKEN


def waits(age: float, **more: Any) -> Waiting:
    return Waiting(**{"users": 1, "pending": NOW - age, "untried": NOW - age, **more})


def seen(waiting: Waiting, **more: Any) -> Outlook:
    return Outlook(**{"waiting": waiting, "runner": True, "expected": 240.0, **more})


def judged(outlook: Outlook, slo: SloSettings = PROMISE, policy: TriggerPolicy = POLICY) -> Verdict:
    return judge(slo, policy, outlook, Kept(), Kept(), NOW)


def test_without_a_promise_there_is_no_verdict_but_an_age() -> None:
    found = judged(seen(waits(9000.0)), SloSettings())
    assert (found.state, found.oldest_age, found.reason) == (FreshnessState.NONE, 9000.0, None)


def test_a_promise_is_kept_where_everything_is_learned_or_will_be_in_time() -> None:
    assert judged(seen(Waiting())).state is KEPT
    due = NOW + 900.0
    found = judged(seen(waits(600.0), hold=Hold.THRESHOLD, hold_until=due))
    assert (found.state, found.oldest_age, found.learned_in, found.reason) == (KEPT, 600.0, 1140.0, None)
    assert found.in_words == "kept: 30m are promised; the oldest change is 10m old, and learned in about 19m"


def test_a_change_that_is_too_old_breaks_it_whoever_works_on_it() -> None:
    assert judged(seen(waits(1800.0))).state is not BROKEN
    assert judged(seen(waits(1801.0))).state is BROKEN
    claimed = Waiting(users=1, claimed=NOW - 1801.0, cycle_since=NOW - 60.0)
    found = judged(seen(claimed, hold=Hold.RUNNING))
    assert found.state is BROKEN
    assert found.learned_in == 180.0
    assert found.reason is not None
    assert "30m1s old" in found.reason
    assert "30m are promised" in found.reason
    assert "a cycle works on it since 1m, and such a cycle takes about 4m" in found.reason


def test_what_a_cycle_tried_and_did_not_register_is_not_learned() -> None:
    tried = Waiting(users=3, pending=NOW - 600.0, tried=3)
    found = judged(seen(tried, hold=Hold.NOTHING))
    assert (found.state, found.learned_in) == (AT_RISK, None)
    assert found.reason is not None
    assert "3 changes were tried by a cycle that registered nothing" in found.reason
    assert "`retrainer train` tries them at once" in found.reason
    rides = replace(tried, untried=NOW - 10.0)
    assert judged(seen(rides, hold=Hold.QUIET, hold_until=NOW + 20)).state is KEPT


def test_quiet_hours_put_a_promise_at_risk_with_their_end_and_the_way_out() -> None:
    quiet = (Span(NOW - 3600, SIX),)
    for hold, until in ((Hold.QUIET_HOURS, SIX), (Hold.THRESHOLD, NOW + 900.0)):
        found = judged(seen(waits(600.0), hold=hold, hold_until=until, quiet=quiet))
        assert (found.state, found.learned_in) == (AT_RISK, 7 * 3600 + 240.0)
        assert found.reason == (
            "a change will be about 7h14m old when it is learned, and 30m are promised: quiet hours last until 06:00 "
            "UTC, and a cycle takes about 4m; shorten RETRAINER_TRIGGER__QUIET_HOURS, set "
            "RETRAINER_SLO__OUTRANKS_QUIET_HOURS=true, or promise more by RETRAINER_SLO__FRESHNESS"
        )
    first = seen(waits(600.0), hold=Hold.THRESHOLD, hold_until=NOW + 900, quiet=quiet, outranks_quiet=True)
    assert judged(first).state is KEPT


def test_the_end_of_quiet_hours_is_told_by_the_clocks_of_their_zone() -> None:
    policy = TriggerPolicy(quiet_hours_zone="Europe/Berlin")
    found = judged(seen(waits(600.0), hold=Hold.QUIET_HOURS, hold_until=SIX), policy=policy)
    assert found.reason is not None
    assert "until 08:00 Europe/Berlin" in found.reason


@pytest.mark.parametrize(
    ("hold", "until", "cause", "way_out"),
    [
        (Hold.PAUSED, None, "a person has paused cycles", "`retrainer resume`"),
        (Hold.TROUBLE, None, "ledger or disk cannot be used", "`retrainer status`"),
        (Hold.BUDGET, SIX, "budget of 20 minutes in 24 hours is used up until 06:00 UTC", "TRAINING_MINUTES_A_DAY"),
        (Hold.INTERVAL, NOW + 1500, "cycles keep 5m apart, and a cycle takes about 4m", "MIN_INTERVAL"),
        (Hold.FAILED, SIX, "the last cycle failed; it is tried again later, not before 06:00 UTC", "retrainer cycles"),
        (Hold.HELD, SIX, "the last cycle was held", "`retrainer status`"),
        (Hold.FRUITLESS, SIX, "the last cycles settled nothing", "retrainer train"),
        (Hold.CATCHING_UP, SIX, "the listener has not caught up", "`retrainer status`"),
    ],
)
def test_every_cause_is_named_with_its_way_out(hold: Hold, until: float | None, cause: str, way_out: str) -> None:
    policy = TriggerPolicy(training_minutes_a_day=20)
    found = judged(seen(waits(600.0), hold=hold, hold_until=until), policy=policy)
    assert found.state is AT_RISK
    assert found.reason is not None
    assert cause in found.reason
    assert way_out in found.reason


@pytest.mark.parametrize("hold", [hold.value for hold in Hold])
def test_whatever_holds_cycles_back_a_broken_promise_says_why(hold: str) -> None:
    found = judged(seen(waits(4000.0), hold=hold, hold_until=NOW + 100))
    assert found.state is BROKEN
    assert found.reason is not None
    assert found.reason.startswith("the oldest change is 1h7m old, and 30m are promised: ")
    assert ";" in found.reason


def test_a_cycle_that_takes_too_long_is_foreseen() -> None:
    slow = Waiting(users=1, claimed=NOW - 600.0, cycle_since=NOW - 300.0)
    found = judged(seen(slow, expected=3000.0, hold=Hold.RUNNING))
    assert found.state is AT_RISK
    assert found.reason is not None
    assert "such a cycle takes about 50m" in found.reason
    over = judged(seen(slow, expected=200.0, hold=Hold.RUNNING))
    assert (over.state, over.learned_in) == (KEPT, 0.0)


def test_what_arrives_while_a_cycle_runs_waits_for_the_next_one() -> None:
    policy = TriggerPolicy(min_interval=2000.0)
    both = Waiting(users=2, pending=NOW - 10, untried=NOW - 10, claimed=NOW - 300, cycle_since=NOW - 60)
    found = judged(seen(both, hold=Hold.RUNNING), policy=policy)
    assert found.state is AT_RISK
    assert found.learned_in == 180.0  # of the oldest, which the cycle works on
    assert found.reason is not None
    assert "the next one starts 33m20s after its end" in found.reason


@pytest.mark.parametrize("waiting", [Waiting(), waits(60.0), Waiting(claimed=NOW - 60, cycle_since=NOW - 50)])
def test_where_no_service_runs_a_promise_is_at_risk(waiting: Waiting) -> None:
    found = judged(seen(waiting, runner=False))
    assert found.state is AT_RISK
    assert found.reason is not None
    assert "`retrainer run`" in found.reason
    assert found.learned_in is None


def test_where_events_cannot_be_read_a_promise_is_at_risk() -> None:
    for waiting in (Waiting(), waits(60.0)):
        found = judged(seen(waiting, unable="the broker does not answer"))
        assert found.state is AT_RISK
        assert found.reason == "events cannot be read, so their age is not known: the broker does not answer"


def test_shares_and_error_budget() -> None:
    day, week = Kept(1000, 990), Kept(5000, 4950)
    found = judge(PROMISE, POLICY, seen(Waiting()), day, week, NOW)
    assert (found.kept_day, found.kept_week) == (0.99, 0.99)
    assert found.known_week == 5000 / 10_080
    assert found.error_budget_left == pytest.approx(1 - 50 / 100.8)
    assert found.in_words.splitlines()[1] == (
        "kept in 99 % of the last day, 99 % of the last 7 days (99 % is meant); 50% of the error budget is left"
    )
    gone = judge(PROMISE, POLICY, seen(Waiting()), Kept(), Kept(10_080, 9_000), NOW)
    assert gone.error_budget_left == pytest.approx(1 - 1080 / 100.8)
    assert gone.kept_day is None


def test_a_hundred_per_cent_means_all() -> None:
    found = judge(PROMISE, POLICY, seen(Waiting()), Kept(1440, 1440), Kept(10_080, 10_079), NOW)
    assert "100 % of the last day, 99.99 % of the last 7 days" in found.in_words


def test_what_status_shows_is_what_the_verdict_says() -> None:
    found = judged(seen(waits(4000.0), hold=Hold.PAUSED))
    assert verdict_in_words(found.as_json()) == found.in_words
    assert found.as_json()["state"] == "broken"


ages = st.floats(0, 10_000)


@given(
    ages,
    st.none() | st.floats(1, 5000),
    st.sampled_from([None, *Hold]),
    st.none() | st.floats(NOW - 100, NOW + 10_000),
    st.booleans(),
    st.integers(0, 3),
)
def test_the_state_goes_with_the_age_and_every_other_state_has_a_reason(
    age: float, expected: float | None, hold: str | None, until: float | None, runner: bool, tried: int
) -> None:
    found = judged(seen(waits(age, tried=tried), expected=expected, hold=hold, hold_until=until, runner=runner))
    assert (found.state is BROKEN) == (age > 1800.0)
    assert (found.reason is None) == (found.state is KEPT)
    if found.state is KEPT:
        assert found.learned_in is not None
        assert age + found.learned_in <= 1800.0 + 1.0 + 18.0
    assert found.learned_in is None or found.learned_in >= 0


def test_a_gap_in_the_samples_is_not_known_unless_a_later_one_tells() -> None:
    assert kept_of([(1, None), (2, 10.0)], 60.0, after=0) == Kept(2, 2)
    assert kept_of([(1, None), (10, 10.0)], 60.0, after=0) == Kept(2, 2)  # of eight minutes nobody knows
    # At minute 10 a change is nine minutes old: it came at minute 1, and was too old from minute 2 on.
    assert kept_of([(1, None), (10, 540.0)], 60.0, after=0) == Kept(9, 1)
    assert kept_of([(10, 6000.0)], 60.0, after=0) == Kept(10, 0)
    assert kept_of([(10, 6000.0)], 60.0, after=7) == Kept(3, 0)
    assert kept_of([], 60.0, after=0).share is None
