"""The table of a cycle's life in docs/cycle.md, drawn from `step`: what each event leads to in each state.

python -m consumer.cycles.lifecycle.table            writes the table into the page
python -m consumer.cycles.lifecycle.table --check    exit code 1 when the page does not have it
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import get_args

from consumer.cycles.lifecycle import actions, events, states
from consumer.cycles.lifecycle.step import Limits, step
from schemas.cycle import CycleResult, Outcome

PAGE = Path(__file__).parents[3] / "docs" / "cycle.md"
BEGIN, END = "<!-- from consumer/cycles/lifecycle: begin -->", "<!-- end -->"

_LIMITS = Limits(attempts=3, retry_wait=10.0, timeout=100.0)
_NOW = 1000.0
_REJECTED = CycleResult(cycle_id="c", outcome=Outcome.REJECTED, reason="", base_version=None, fence=1)
_ABSENT = CycleResult(cycle_id="c", outcome=Outcome.FAILED, reason="", base_version=None, fence=1, not_registered=True)

_TRIES = {
    "an attempt is left": states.Tries(),
    "no attempt is left, none was permitted": states.Tries(_LIMITS.attempts - 1),
    "no attempt is left, one was permitted": states.Tries(_LIMITS.attempts - 1, may_have_registered=True),
}
_WAITS = {"the wait is over": _NOW, "the wait is not over": _NOW + 1}
_SINCE = {"within the limit": _NOW, "over the limit": _NOW - 1000}

Cases = Mapping[tuple[str, ...], states.State]

_STATES: dict[type, Cases] = {
    states.Idle: {(): states.Idle()},
    states.ClaimUnknown: {(): states.ClaimUnknown()},
    states.Backoff: {(wait,): states.Backoff(states.Tries(), until) for wait, until in _WAITS.items()},
    states.Training: {
        (since, tries): states.Training(_TRIES[tries], _SINCE[since]) for since, tries in product(_SINCE, _TRIES)
    },
    states.AwaitingPermit: {
        (since, tries): states.AwaitingPermit(_TRIES[tries], _SINCE[since]) for since, tries in product(_SINCE, _TRIES)
    },
    states.CountingFailure: {(): states.CountingFailure(states.Tries(), "")},
    states.RegistryBackoff: {(wait,): states.RegistryBackoff("", until) for wait, until in _WAITS.items()},
    states.VerifyingRegistry: {(since,): states.VerifyingRegistry("", at) for since, at in _SINCE.items()},
    states.Settling: {(): states.Settling(_REJECTED)},
    states.Stopped: {(): states.Stopped()},
}
"""Of each state one for each case that may matter; what a case is called."""

_EVENTS: dict[type, dict[str, events.Event]] = {
    events.ClaimFound: {
        "a result of ours is on disk": events.ClaimFound(0, _REJECTED),
        "none is": events.ClaimFound(0, None),
    },
    events.TrainerEnded: {
        "a result": events.TrainerEnded(_REJECTED, ""),
        "a failure": events.TrainerEnded(None, ""),
        "no version found": events.TrainerEnded(_ABSENT, ""),
    },
}
"""The same of those events that say more than their name."""


_KINDS: tuple[type, ...] = get_args(events.Event)

Led = tuple[str, str]
"""What an event leads to: the name of the next state, and the actions as text."""


def table() -> str:
    """States with their meaning, and a row for each event that means something in a state."""
    everywhere = {event: led for event in _KINDS if (led := _everywhere(event)) is not None}
    rows = [_row("any but Stopped", event, "", led) for event, led in everywhere.items()]
    rows += [row for state in _STATES for event in _KINDS if event not in everywhere for row in _rows(state, event)]
    meanings = [f"| {one.__name__} | {_meaning(one)} |" for one in _STATES]
    return "\n".join(
        [
            *("| state | meaning |", "|---|---|", *meanings, ""),
            *("| state | event | when | next state | actions |", "|---|---|---|---|---|", *rows, ""),
            *("| event | meaning |", "|---|---|", *(f"| {one.__name__} | {_meaning(one)} |" for one in _KINDS), ""),
            *("| action | meaning |", "|---|---|"),
            *(f"| {one.__name__} | {_meaning(one)} |" for one in get_args(actions.Action)),
        ]
    )


def stale() -> bool:
    """Whether the page has another table."""
    return _with_table(text := PAGE.read_text()) != text


def main() -> int:
    """Write the table, or check it; returns the exit code."""
    if "--check" in sys.argv[1:]:
        if stale():
            print("docs/cycle.md is not current: run `python -m consumer.cycles.lifecycle.table`")
        return int(stale())
    PAGE.write_text(_with_table(PAGE.read_text()))
    return 0


def _with_table(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


def _everywhere(event: type) -> Led | None:
    """What an event leads to, if that is the same in every state but Stopped."""
    led = {
        _lead(one, sample)
        for state, cases in _STATES.items()
        for one in cases.values()
        for sample in _samples(event).values()
        if state is not states.Stopped
    }
    return led.pop() if len(led) == 1 else None


def _rows(state: type, event: type) -> list[str]:
    """The rows of an event in a state; none where the event means nothing there."""
    by_cases: dict[tuple[tuple[str, Led], ...], list[str]] = {}
    for label, sample in _samples(event).items():
        led = {cases: _lead(one, sample) for cases, one in _STATES[state].items()}
        by_cases.setdefault(tuple(_by_fewest_cases(led).items()), []).append(label)
    return [
        _row(state.__name__, event, "; ".join(filter(None, (" or ".join(labels), when))), led)
        for cases, labels in by_cases.items()
        for when, led in cases
        if led != (state.__name__, "")
    ]


def _by_fewest_cases(led: Mapping[tuple[str, ...], Led]) -> dict[str, Led]:
    """The same without the conditions that make no difference."""
    for position in range(len(next(iter(led)))):
        fewer: dict[tuple[str, ...], set[Led]] = {}
        for cases, to in led.items():
            fewer.setdefault((*cases[:position], *cases[position + 1 :]), set()).add(to)
        if all(len(found) == 1 for found in fewer.values()):
            return _by_fewest_cases({cases: found.pop() for cases, found in fewer.items()})
    return {"; ".join(cases): to for cases, to in led.items()}


def _lead(state: states.State, event: events.Event) -> Led:
    following, todo = step(_LIMITS, state, event, _NOW)
    return type(following).__name__, ", ".join(map(_action, todo))


def _action(action: actions.Action) -> str:
    flags = [name for name in action.__slots__ if getattr(action, name) is True]
    return type(action).__name__ + (f" ({', '.join(flags).replace('_', ' ')})" if flags else "")


def _samples(event: type) -> dict[str, events.Event]:
    return _EVENTS.get(event) or {"": event()}


def _row(state: str, event: type, when: str, led: Led) -> str:
    return f"| {state} | {event.__name__} | {when} | {led[0]} | {led[1]} |"


def _meaning(one: type) -> str:
    return " ".join((one.__doc__ or "").split())


if __name__ == "__main__":
    sys.exit(main())
