"""The life of a cycle, from its claim to its settlement: in a given state, what does an event lead to?

`step` is pure: it reads no clock, no ledger and no process. The supervisor turns what happens into events and carries
out the actions. Some actions need the ledger (ConfirmLease, CountAttempt, Settle, FindClaim). Where the ledger does not
answer, the state stays as it is, and every Tick asks for the action again. So such an action may be carried out twice,
and the ledger counts it once.

Two promises rest on this module alone. A trainer is permitted to register only after the lease was confirmed while the
trainer waited. A cycle that may have registered is never settled as failed before the registry said that it has no
version of the cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from consumer.cycles.lifecycle import actions, events, states
from schemas.cycle import CycleResult, Outcome

Next = tuple[states.State, tuple[actions.Action, ...]]

_ASK_AGAIN = 1.0  # seconds between two questions to the registry, at least
_ASKING_TAKES = 60.0  # seconds, at least: a trainer that only asks has to start, however short a cycle may be


@dataclass(frozen=True, slots=True)
class Limits:
    """How often and how long a cycle is tried."""

    attempts: int
    retry_wait: float
    """Seconds from the first failed attempt to the second; each further wait is twice as long."""
    timeout: float
    """Seconds that an attempt may take."""

    def wait_after(self, failed: int) -> float:
        """Seconds before the next attempt, after so many failed ones."""
        return self.retry_wait * 2.0 ** (failed - 1)


def step(limits: Limits, state: states.State, event: events.Event, now: float) -> Next:
    """The state after `event` at `now`, and what is to be done, in this order.

    An event that means nothing in a state changes nothing and asks for nothing.
    """
    if isinstance(state, states.Stopped):
        return state, ()
    if isinstance(event, events.StopAsked):
        return states.Stopped(), (actions.EndTrainers(at_once=False),)
    if isinstance(event, events.Overtaken):
        return states.Idle(), (actions.EndTrainers(at_once=True), actions.Discard())
    match state:
        case states.Idle() | states.ClaimUnknown():
            return _unclaimed(limits, state, event, now)
        case states.Backoff():
            return _backoff(limits, state, event, now)
        case states.Training():
            return _training(limits, state, event, now)
        case states.AwaitingPermit():
            return _awaiting_permit(limits, state, event, now)
        case states.CountingFailure():
            return _counting(limits, state, event, now)
        case states.RegistryBackoff():
            return _registry_backoff(limits, state, event, now)
        case states.VerifyingRegistry():
            return _verifying(limits, state, event, now)
        case states.Settling():
            return _settling(limits, state, event, now)


def _unclaimed(limits: Limits, state: states.Idle | states.ClaimUnknown, event: events.Event, now: float) -> Next:
    match event:
        case events.Claimed():
            return _attempt(limits, states.Tries(), now)
        case events.ClaimFound():
            return _found(limits, event, now)
        case events.ClaimUnanswered():
            return states.ClaimUnknown(), ()
        case events.NothingClaimed():
            return states.Idle(), ()
        case events.Tick():
            return state, (actions.Sweep() if isinstance(state, states.Idle) else actions.FindClaim(),)
    return state, ()


def _backoff(limits: Limits, state: states.Backoff, event: events.Event, now: float) -> Next:
    match event:
        case events.TrainerStarted():
            return states.Training(state.tries, now), ()
        case events.ClaimFound():  # its trainer could not be started when it was resumed, and it is resumed again
            return _found(limits, event, now)
        case events.Tick() if now >= state.until:
            return _attempt(limits, state.tries, now)
    return state, ()


def _training(limits: Limits, state: states.Training, event: events.Event, now: float) -> Next:
    match event:
        case events.TrainerAsked():
            return states.AwaitingPermit(state.tries, state.since), (actions.ConfirmLease(),)
        case events.TrainerEnded():
            return _attempt_ended(limits, state.tries, event, now)
        case events.Tick() if now - state.since > limits.timeout:
            return _after(
                actions.KillTrainer(), _attempt_failed(limits, state.tries, _took_longer(limits.timeout), now)
            )
    return state, ()


def _awaiting_permit(limits: Limits, state: states.AwaitingPermit, event: events.Event, now: float) -> Next:
    match event:
        case events.LeaseConfirmed():
            return states.Training(replace(state.tries, may_have_registered=True), state.since), (actions.Permit(),)
        case events.TrainerEnded():
            return _attempt_ended(limits, state.tries, event, now)
        case events.Tick():
            return state, (actions.ConfirmLease(),)
    return state, ()


def _counting(limits: Limits, state: states.CountingFailure, event: events.Event, now: float) -> Next:
    match event:
        case events.AttemptCounted():
            failed = state.tries.failed + 1
            return states.Backoff(replace(state.tries, failed=failed), now + limits.wait_after(failed)), ()
        case events.Tick():
            return state, (actions.CountAttempt(state.tries.failed + 1, state.reason),)
    return state, ()


def _registry_backoff(limits: Limits, state: states.RegistryBackoff, event: events.Event, now: float) -> Next:
    match event:
        case events.TrainerStarted():
            return states.VerifyingRegistry(state.reason, now), ()
        case events.Tick() if now >= state.until:
            return states.RegistryBackoff(state.reason, now + _ask_again(limits)), (
                actions.StartTrainer(lookup_only=True),
            )
    return state, ()


def _verifying(limits: Limits, state: states.VerifyingRegistry, event: events.Event, now: float) -> Next:
    limit = max(limits.timeout, _ASKING_TAKES)
    again = states.RegistryBackoff(state.reason, now + _ask_again(limits))
    match event:
        case events.TrainerEnded(result=result, reason=reason):
            if result is not None and _says_how_it_ended(result):
                return _settle(result)
            if result is not None and result.not_registered:
                return _settle(states.GivenUp(state.reason))
            return again, (actions.NoteFailure(reason),)
        case events.Tick() if now - state.since > limit:
            return again, (actions.KillTrainer(), actions.NoteFailure(_took_longer(limit)))
    return state, ()


def _settling(limits: Limits, state: states.Settling, event: events.Event, now: float) -> Next:
    match event:
        case events.Settled():
            return states.Idle(), ()
        case events.ClaimFound():  # the ledger did not answer while the cycle was resumed, and it is resumed again
            return _found(limits, event, now)
        case events.Tick():
            return _settle(state.ending)
    return state, ()


def _found(limits: Limits, found: events.ClaimFound, now: float) -> Next:
    """Go on with a cycle of which nobody here knows whether a trainer was permitted."""
    if found.result is not None and _says_how_it_ended(found.result):
        return _settle(found.result)
    return _attempt(limits, states.Tries(found.failed, may_have_registered=True), now)


def _attempt(limits: Limits, tries: states.Tries, now: float) -> Next:
    """Should the trainer not start, the disk being full perhaps, the wait is as long as after a first failure."""
    return states.Backoff(tries, now + limits.retry_wait), (actions.StartTrainer(),)


def _attempt_ended(limits: Limits, tries: states.Tries, ended: events.TrainerEnded, now: float) -> Next:
    if ended.result is not None and _says_how_it_ended(ended.result):
        return _settle(ended.result)
    return _attempt_failed(limits, tries, ended.reason, now)


def _attempt_failed(limits: Limits, tries: states.Tries, reason: str, now: float) -> Next:
    if tries.failed + 1 < limits.attempts:
        following: Next = states.CountingFailure(tries, reason), (actions.CountAttempt(tries.failed + 1, reason),)
    elif tries.may_have_registered:
        following = states.RegistryBackoff(reason, now), ()
    else:
        following = _settle(states.GivenUp(reason))
    return _after(actions.NoteFailure(reason), following)


def _settle(ending: states.Ending) -> Next:
    return states.Settling(ending), (actions.Settle(ending),)


def _after(first: actions.Action, following: Next) -> Next:
    state, others = following
    return state, (first, *others)


def _says_how_it_ended(result: CycleResult) -> bool:
    """A trainer that failed says only that; the cycle goes on."""
    return result.outcome is not Outcome.FAILED


def _took_longer(limit: float) -> str:
    return f"took longer than {limit:g} s"


def _ask_again(limits: Limits) -> float:
    return max(_ASK_AGAIN, limits.retry_wait)
