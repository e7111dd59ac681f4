"""Single steps of a cycle's life: how long is waited, what is counted, and what a late or strange event changes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from consumer.cycles.lifecycle import actions, events, states
from consumer.cycles.lifecycle.step import Limits, step
from schemas.cycle import Outcome
from tests.unit.consumer.cycles.lifecycle_world import result_of

LIMITS = Limits(attempts=4, retry_wait=10.0, timeout=30.0)
LAST = states.Tries(failed=3)
DIED = events.TrainerEnded(None, "it died")


def test_each_failed_attempt_doubles_the_wait_and_is_counted_first() -> None:
    tries, waits = states.Tries(), list[float]()
    for number in (1, 2, 3):
        state, todo = step(LIMITS, states.Training(tries, 0.0), DIED, 100.0)
        assert todo == (actions.NoteFailure("it died"), actions.CountAttempt(number, "it died"))
        assert step(LIMITS, state, events.Tick(), 101.0) == (state, todo[1:])  # the ledger did not answer
        state, todo = step(LIMITS, state, events.AttemptCounted(), 102.0)
        assert isinstance(state, states.Backoff)
        assert todo == ()
        tries = state.tries
        waits.append(state.until - 102.0)
    assert waits == [10.0, 20.0, 40.0]
    assert tries == LAST


def test_an_attempt_starts_when_its_wait_is_over_and_waits_again_where_no_trainer_can_be_started() -> None:
    waiting = states.Backoff(states.Tries(1), 50.0)
    assert step(LIMITS, waiting, events.Tick(), 49.9) == (waiting, ())
    assert step(LIMITS, waiting, events.Tick(), 50.0) == (
        states.Backoff(states.Tries(1), 60.0),
        (actions.StartTrainer(),),
    )


def test_an_attempt_is_killed_after_its_limit_and_keeps_that_reason() -> None:
    training = states.Training(states.Tries(), 0.0)
    assert step(LIMITS, training, events.Tick(), 30.0) == (training, ())
    state, todo = step(LIMITS, training, events.Tick(), 30.1)
    assert state == states.CountingFailure(states.Tries(), "took longer than 30 s")
    assert todo[0] == actions.KillTrainer()


def test_a_trainer_that_asks_is_permitted_only_when_the_lease_is_confirmed() -> None:
    awaiting, todo = step(LIMITS, states.Training(states.Tries(), 0.0), events.TrainerAsked(), 5.0)
    assert (awaiting, todo) == (states.AwaitingPermit(states.Tries(), 0.0), (actions.ConfirmLease(),))
    assert step(LIMITS, awaiting, events.Tick(), 6.0) == (awaiting, (actions.ConfirmLease(),))
    state, todo = step(LIMITS, awaiting, events.LeaseConfirmed(), 7.0)
    assert (state, todo) == (states.Training(states.Tries(may_have_registered=True), 0.0), (actions.Permit(),))


def test_the_last_attempt_fails_at_once_where_none_was_permitted_and_asks_the_registry_where_one_was() -> None:
    state, todo = step(LIMITS, states.Training(LAST, 0.0), DIED, 5.0)
    assert (state, todo[-1]) == (states.Settling(states.GivenUp("it died")), actions.Settle(states.GivenUp("it died")))
    asked, _ = step(LIMITS, states.AwaitingPermit(LAST, 0.0), events.LeaseConfirmed(), 5.0)
    state, todo = step(LIMITS, asked, DIED, 5.0)
    assert state == states.RegistryBackoff("it died", 5.0)
    assert step(LIMITS, state, events.Tick(), 5.0)[1] == (actions.StartTrainer(lookup_only=True),)


def test_the_registry_is_asked_until_it_answers_and_the_cycle_fails_for_its_own_reason() -> None:
    asking = states.VerifyingRegistry("it died", 0.0)
    assert step(LIMITS, asking, events.Tick(), 60.0) == (asking, ())  # it has to start, whatever the limit of a cycle
    assert step(LIMITS, asking, events.Tick(), 60.1)[0] == states.RegistryBackoff("it died", 70.1)
    away = events.TrainerEnded(result_of(Outcome.FAILED), "the registry is away")
    assert step(LIMITS, asking, away, 5.0)[0] == states.RegistryBackoff("it died", 15.0)
    absent = events.TrainerEnded(result_of(Outcome.FAILED, not_registered=True), "no version")
    assert step(LIMITS, asking, absent, 5.0)[0] == states.Settling(states.GivenUp("it died"))
    found = result_of(Outcome.REGISTERED)
    assert step(LIMITS, asking, events.TrainerEnded(found, "so"), 5.0)[0] == states.Settling(found)


def test_two_questions_to_the_registry_are_a_second_apart_even_without_a_wait_between_attempts() -> None:
    hasty = Limits(attempts=1, retry_wait=0.0, timeout=30.0)
    state: states.State = states.RegistryBackoff("it died", 0.0)
    asked = list[float]()
    for now in (0.0, 0.5, 1.0, 1.5, 2.0):
        state, todo = step(hasty, state, events.Tick(), now)
        asked += [now] if todo else []
    assert [later - before for before, later in pairwise(asked)] == [1.0, 1.0]


def test_a_resumed_cycle_may_have_been_permitted_and_keeps_its_count() -> None:
    state, _ = step(LIMITS, states.Idle(), events.ClaimFound(2, None), 0.0)
    assert state == states.Backoff(states.Tries(2, may_have_registered=True), 10.0)
    failed = events.ClaimFound(2, result_of(Outcome.FAILED))
    assert step(LIMITS, states.Idle(), failed, 0.0)[0] == state
    rejected = result_of(Outcome.REJECTED)
    assert step(LIMITS, states.Idle(), events.ClaimFound(2, rejected), 0.0)[0] == states.Settling(rejected)


@pytest.mark.parametrize("event", [events.Tick(), events.Claimed(), DIED, events.Overtaken(), events.StopAsked()])
def test_nothing_begins_after_a_stop(event: events.Event) -> None:
    stopped, _ = step(LIMITS, states.Training(states.Tries(), 0.0), events.StopAsked(), 0.0)
    assert step(LIMITS, stopped, event, 100.0) == (states.Stopped(), ())


def test_what_a_late_trainer_says_changes_nothing_once_the_end_is_decided() -> None:
    settling = states.Settling(states.GivenUp("it died"))
    for event in (
        events.TrainerEnded(result_of(Outcome.REJECTED), "so"),
        events.TrainerAsked(),
        events.TrainerStarted(),
    ):
        assert step(LIMITS, settling, event, 0.0) == (settling, ())
