"""Whether lines of a log, as JSON, keep to what schemas/log_events says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.cycle import Step
from schemas.log_events.cycles import CYCLE_STEP
from schemas.log_events.event import EVERY_LINE
from schemas.log_events.facts import STEP_FACTS
from schemas.log_events.registry import BY_SENTENCE


def departures(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """What lines of our events have that is not registered; lines of libraries may have anything."""
    return [wrong for line in lines for wrong in _departures(line)]


def _departures(line: Mapping[str, Any]) -> Iterable[str]:
    event = BY_SENTENCE.get(line["event"])
    if event is None:
        return
    if line["level"] not in event.levels:
        yield f"'{event}' at {line['level']}"
    if unknown := line.keys() - event.fields.keys() - EVERY_LINE.keys():
        yield f"'{event}' with {sorted(unknown)}"
    if event == CYCLE_STEP and (facts := line["facts"].keys() - STEP_FACTS[Step(line["step"])].names):
        yield f"step {line['step']} with the facts {sorted(facts)}"
