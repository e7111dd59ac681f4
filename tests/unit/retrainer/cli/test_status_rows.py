"""Whatever state service, broker and ledger are in: no line of `status` contradicts another."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.cycles.failure_report import failure_now
from consumer.cycles.running import Activity
from consumer.cycles.trigger import Hold
from consumer.freshness.verdict import FreshnessState, Verdict
from consumer.ledger.efforts import Failed
from consumer.ledger.views import Backlog
from consumer.operating.state import hold_now, state_now
from consumer.status import ServiceState, Status
from retrainer.cli.status_rows import TRIED, rows, rows_without_ledger

AT = 1_800_000_000.0
FAILED = Failed("c000004-ab", 3, "the store is away", AT, 2)
QUIET: dict[str, Any] = {
    "state": "listening",
    "trouble": None,
    "lag": 0,
    "lag_known": None,
    "hold": None,
    "hold_until": None,
    "failing": None,
    "full_waits": None,
    "pending": {"users": 0, "untried_users": 0, "oldest_age_s": None},
    "cycle": None,
    "champion": 3,
    "last_cycle": None,
    "cycles_since_version": {},
    "held": None,
    "asks_full": None,
    "full_on_drift": True,
    "probe": None,
    "events": 0,
    "ignored": 0,
    "ignored_because": {},
    "dead_letters": 0,
    "open_dead_letters": 0,
    "instances": [],
    "gaps": [],
    "refused": {},
    "notice": None,
    "ledger": "sqlite:///ledger.db",
}
CYCLE = {"cycle_id": "c9", "kind": "full", "state": "running", "attempts": 1}
ENDED = {"cycle_id": "c000002-cd", "kind": "incremental", "outcome": "inconclusive", "reason": "it cannot be told"}


def told(**found: Any) -> dict[str, str]:
    return rows({**QUIET, **found})


def test_what_is_served_where_is_told_beside_the_champion() -> None:
    assert "deployment" not in told()
    served = {"export": "version 3 is in /srv/models/m/3", "deployment": "version 3 is not there: the cluster is away"}
    found = told(served=served)
    assert {name: found[name] for name in served} == served


def test_users_that_a_cycle_gave_back_are_told_as_such() -> None:
    pending = {"users": 382, "untried_users": 0, "oldest_age_s": 40.0}
    found = told(pending=pending, last_cycle=ENDED, hold=Hold.NOTHING.value)
    assert found["state"] == "listening (nothing new is pending)"
    assert found["pending"] == (
        "382 users, the oldest since 40 s; all tried by c000002-cd, inconclusive: they ride with the next cycle"
    )
    some = told(pending={**pending, "untried_users": 12}, last_cycle=ENDED)
    assert "; 370 of them tried by c000002-cd, inconclusive: they ride with the next cycle" in some["pending"]
    labels = {"labels": 5, "untried_labels": 5}
    assert (
        "377 users and 5 labels, the oldest since 40 s; 377 of them"
        in told(pending={**pending, "users": 377, **labels}, last_cycle=ENDED)["pending"]
    )
    assert told(pending={**pending, "untried_users": 382})["pending"] == "382 users, the oldest since 40 s"


def test_a_lag_that_is_not_known_is_told_with_the_last_that_was() -> None:
    assert told(lag=None)["lag"] == "unknown"
    found = told(lag=None, lag_known={"events": 7, "at": AT}, state="broker away")
    assert found["lag"] == "unknown, 7 events at 2027-01-15 08:00:00 UTC"
    assert told(lag=7, lag_known={"events": 7, "at": AT})["lag"] == "7 events"


def test_who_cannot_read_either_while_the_ledger_is_away_is_told_so() -> None:
    left = {"state": "in trouble", "hold": None, "trouble": "no room", "failing": None, "cycle": None, "ledger": "l"}
    found = rows_without_ledger({**left, "unable": "poll fails: no permit", "lag": None, "lag_known": None})
    assert found["cannot read"] == "poll fails: no permit"
    assert "cannot read" not in rows_without_ledger({**left, "unable": None, "lag": 0, "lag_known": None})


def test_why_nothing_starts_is_told_with_until_when() -> None:
    assert told(hold=Hold.CEILING.value, hold_until=AT)["state"] == (
        "listening (the most cycles from scratch of a day have run; until 2027-01-15 08:00:00 UTC)"
    )
    waits = {"reason": "too many rejections in a row", "hold": Hold.REFUSED.value, "until": AT}
    assert told(full_waits=waits)["full retrain"] == (
        "too many rejections in a row, and it waits until 2027-01-15 08:00:00 UTC: a model from scratch was refused; "
        "each time the next one waits longer; `retrainer train --full` starts it now"
    )
    drifted = told(full_waits={**waits, "reason": "the space has drifted"}, asks_full="0.04 better")["full retrain"]
    assert "starts by itself" not in drifted
    assert drifted.startswith("asked for (0.04 better), and waits until 2027-01-15 08:00:00 UTC: ")


@pytest.mark.parametrize(
    ("cycle", "failed", "next_at", "said"),
    [
        (None, None, None, None),
        ({"cycle_id": "c5", "attempts": 0}, None, None, None),
        (
            {"cycle_id": "c5", "attempts": 2, "last_error": "no\nroom", "next_try_at": AT},
            None,
            None,
            "c5: tried 2 of 3 times, last error: no room; next try at 2027-01-15 08:00:00 UTC",
        ),
        (
            {"cycle_id": "c5", "attempts": 1},
            None,
            None,
            "c5: tried 1 of 3 times, last error: nothing is known of why; it is being tried again now",
        ),
        (
            {"cycle_id": "c5", "attempts": 1, "last_error": "no room", "state": Activity.TO_BE_RESUMED},
            None,
            None,
            "c5: tried 1 of 3 times, last error: no room; the next cycle that starts tries again",
        ),
        (
            None,
            FAILED,
            AT,
            "2 cycles in a row, the last c000004-ab: tried 3 of 3 times, last error: the store is away; "
            "next try at 2027-01-15 08:00:00 UTC",
        ),
        (
            {"cycle_id": "c5", "attempts": 0},
            FAILED,
            AT,
            "2 cycles in a row, the last c000004-ab: tried 3 of 3 times, last error: the store is away; "
            "it is being tried again now",
        ),
        (
            None,
            replace(FAILED, in_a_row=1),
            None,
            "c000004-ab: tried 3 of 3 times, last error: the store is away; the next cycle that starts tries again",
        ),
    ],
)
def test_what_fails_is_told_with_attempts_last_error_and_next_try(
    cycle: dict[str, Any] | None, failed: Failed | None, next_at: float | None, said: str | None
) -> None:
    failing = failure_now(cycle, failed, 3, next_at)
    assert (failing.in_words if failing else None) == said
    if failing:
        assert told(failing=asdict(failing))["failing"] == f"{said}; `retrainer train` tries at once"
        assert told(failing=asdict(failing), cycle={**CYCLE, "attempts": 2})["failing"] == said


LISTENERS = ["listening", "joining", "standing by", "waiting for broker", "broker away", "too many dead letters"]
counts = st.integers(0, 3)
services = st.builds(
    Status,
    pid=st.just(1),
    state=st.sampled_from([*LISTENERS, "training", ServiceState.HELD, "in trouble"]),
    written_at=st.just(AT),
    polled_at=st.just(AT),
    lag=st.none() | counts,
    hold=st.none() | st.sampled_from([hold.value for hold in Hold]),
    cycle=st.none() | st.just(CYCLE),
    runs_cycles=st.booleans(),
    listener=st.sampled_from(LISTENERS),
    hold_until=st.none() | st.just(AT),
)
backlogs = st.builds(
    lambda tried, untried, labels, untried_labels: Backlog(
        tried + untried, untried, labels + untried_labels, untried_labels, None, None, None
    ),
    counts,
    counts,
    counts,
    counts,
)


@given(services, backlogs, st.none() | st.sampled_from([*TRIED, "registered", "failed"]), st.booleans())
def test_no_line_contradicts_another(service: Status, backlog: Backlog, last: str | None, labelled: bool) -> None:
    held, failed = last == "held", FAILED if last == "failed" else None
    cycle = service.cycle
    hold = hold_now(service, backlog, cycle, held=held, failed=failed is not None)
    failing = failure_now(cycle, failed, 3, service.hold_until)
    labels = {"labels": backlog.labels, "untried_labels": backlog.untried_labels} if labelled else {}
    if not labelled:
        backlog = replace(backlog, labels=0, untried_labels=0)
        hold = hold_now(service, backlog, cycle, held=held, failed=failed is not None)
    found = told(
        state=state_now(service, cycle, held=held),
        lag=service.lag,
        hold=hold,
        hold_until=service.hold_until if hold else None,
        failing=asdict(failing) if failing else None,
        pending={"users": backlog.users, "untried_users": backlog.untried, "oldest_age_s": None, **labels},
        cycle=cycle,
        last_cycle={**ENDED, "outcome": last} if last else None,
        held={"reason": "half is refused", "way_out": "look", "asks_full": None} if held else None,
    )
    state, pending = found["state"], found["pending"]
    new = backlog.untried + backlog.untried_labels
    if "nothing new" in state:
        assert new == 0
        every = backlog.users + (backlog.labels if labelled else 0)
        assert "ride with the next cycle" in pending or every == new
    if "still arriving" in state or "too little has changed" in state or "being asked" in state:
        assert new > 0
    if "labels alone" in state:
        assert backlog.untried == 0 < new
    if cycle is not None:
        assert "(" not in state  # what a hold says is of no cycle
        assert found["cycle"] != "none"
    else:
        assert "a cycle is running" not in state
        assert not state.startswith("training")
    if state.startswith(ServiceState.HELD) or "was held" in state:
        assert "held" in found
    if Hold.FAILED in state:
        assert "failing" in found
    assert ("ride with the next cycle" in pending) == (new < backlog.users + (backlog.labels if labelled else 0))
    if re.search(r"until \d", state):
        assert service.hold_until is not None


def test_a_service_that_has_stopped_says_no_more_than_that() -> None:
    assert told(state=ServiceState.STOPPED, lag=None)["state"] == ServiceState.STOPPED


def test_without_a_ledger_all_is_told_that_the_service_says_of_itself() -> None:
    said = {"unable": "broker away: no answer", "notice": "none of the last 100 events is ours", "trouble": "disk full"}
    found = rows_without_ledger({**QUIET, **said})
    assert (found["cannot read"], found["notice"], found["trouble"]) == tuple(
        said[name] for name in ("unable", "notice", "trouble")
    )
    assert found["pending"] == "unknown: the ledger does not answer"


def test_model_events_that_wait_or_were_given_up_are_told() -> None:
    waiting = {"waiting": {"topic": 0, "webhook": 3}, "trouble": "https://x/… answered 500"}
    found = told(model_events={**waiting, "given_up": 2, "given_up_because": "https://x/… answered 404"})
    assert found["model events"] == (
        "0 wait for the topic, 3 wait for the webhook: https://x/… answered 500\n"
        "2 were given up: https://x/… answered 404"
    )
    assert "model events" not in told(model_events=None)


def test_a_promise_is_told_where_there_is_one() -> None:
    assert "freshness" not in told()
    nothing = Verdict(state=FreshnessState.NONE, oldest_age=3.0)
    assert "freshness" not in told(freshness=nothing.as_json())
    doubtful = replace(nothing, conflicts=("a budget of 1 minute is little: raise it",))
    assert told(freshness=doubtful.as_json())["freshness"].endswith("a budget of 1 minute is little: raise it")
    broken = Verdict(
        state=FreshnessState.BROKEN,
        target=1800.0,
        oldest_age=3600.0,
        reason="the oldest change is 1h old, and 30m are promised: a pause; resume",
        objective=0.99,
        error_budget_left=1.0,
        conflicts=("quiet hours are long: shorten them",),
    )
    assert told(freshness=broken.as_json())["freshness"].splitlines() == [
        "broken: the oldest change is 1h old, and 30m are promised: a pause; resume",
        "cannot always be kept: quiet hours are long: shorten them",
    ]
