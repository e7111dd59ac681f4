"""How far cycles keep apart: what the last cycles cost, and how they ended, decides when the next one may start.

A gate that refuses everything, or a trainer that always fails, must not train around the clock. After each cycle that
settled nothing the next one waits twice as long. A cycle from scratch costs most and waits longest, and the number of
those that nobody asked for is limited for each day.
"""

from __future__ import annotations

from consumer.cycles.trigger_terms import Hold, TriggerState, Wait
from schemas.policies import TriggerPolicy

DAY = 86400.0
_LEAST = 1.0  # seconds, after a failed or held cycle also where no interval is kept
_DOUBLINGS = 30  # a longer exponent changes nothing: the wait has reached its limit


def wait_after_last_cycle(policy: TriggerPolicy, state: TriggerState, now: float) -> Wait | None:
    """The wait of any cycle after the last one; None once the wait is over."""
    if state.last_cycle_end is None or now >= (free := state.last_cycle_end + _interval(policy, state)):
        return None
    if state.held_in_a_row > 0:
        return Wait(Hold.HELD, until=free)
    if state.last_cycle_failed:
        return Wait(Hold.FAILED, until=free)
    return Wait(Hold.FRUITLESS if _fruitless(state) > 1 else Hold.INTERVAL, until=free)


def wait_before_scratch(policy: TriggerPolicy, state: TriggerState, now: float) -> Wait | None:
    """The wait before a cycle from scratch that nobody asked for; None once that is over, or where there is none."""
    waits = [wait] if (wait := wait_after_failed_full(policy, state, now)) is not None else []
    if state.refused_from_scratch and state.last_refused_from_scratch is not None:
        doubled = policy.max_backoff * 2.0 ** min(state.refused_from_scratch - 1, _DOUBLINGS)
        longest = max(policy.drift_interval, policy.max_backoff)
        waits.append(Wait(Hold.REFUSED, until=state.last_refused_from_scratch + min(doubled, longest)))
    if len(state.full_ends) >= policy.max_full_per_day:
        waits.append(Wait(Hold.CEILING, until=state.full_ends[policy.max_full_per_day - 1] + DAY))
    longest_wait = max(waits, key=_until, default=None)
    return longest_wait if longest_wait is not None and now < _until(longest_wait) else None


def wait_after_failed_full(policy: TriggerPolicy, state: TriggerState, now: float) -> Wait | None:
    """The wait before a full retrain after one that failed: twice that of any other cycle, so that changes go first."""
    if not state.has_champion or not state.failed_fulls or state.last_full_end is None:
        return None
    until = state.last_full_end + 2 * _doubled(*_after_failure(policy), state.failed_fulls)
    return Wait(Hold.FULL_FAILED, until=until) if now < until else None


def wait_before_drift_full(policy: TriggerPolicy, state: TriggerState, now: float) -> Wait | None:
    """The wait before a full retrain that a cycle asked for; another full retrain, however it ended, prolongs it."""
    waits = [wait] if (wait := wait_before_scratch(policy, state, now)) is not None else []
    if state.last_full_end is not None and now < (again := state.last_full_end + policy.drift_interval):
        waits.append(Wait(Hold.DRIFT_INTERVAL, until=again))
    return max(waits, key=_until, default=None)


def _interval(policy: TriggerPolicy, state: TriggerState) -> float:
    """How long after the last cycle the next may start: twice as long after each cycle that settled nothing."""
    in_a_row = _fruitless(state)
    if in_a_row == 0:
        return policy.min_interval
    if state.held_in_a_row > 0 or state.last_cycle_failed:
        return _doubled(*_after_failure(policy), in_a_row)
    return _doubled(policy.min_interval, max(policy.min_interval, policy.max_backoff), in_a_row)


def _after_failure(policy: TriggerPolicy) -> tuple[float, float]:
    """The first wait after a cycle that failed or was held, and the longest."""
    first = max(policy.min_interval, policy.quiet_period, _LEAST)
    return first, max(policy.min_interval, policy.max_backoff, _LEAST)


def _doubled(first: float, most: float, in_a_row: int) -> float:
    return min(first * 2.0 ** min(in_a_row - 1, _DOUBLINGS), most)


def _fruitless(state: TriggerState) -> int:
    failed = 1 if state.last_cycle_failed else 0
    return max(state.fruitless_in_a_row, state.rejections_in_a_row, state.held_in_a_row, failed)


def _until(wait: Wait) -> float:
    assert wait.until is not None
    return wait.until
