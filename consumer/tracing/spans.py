"""A cycle on record becomes the spans of its trace. Pure. No span names a user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from schemas.watching.traces import ROOT

Value = str | int | float | bool
Record = Mapping[str, Any]

_WAITED = "waiting"
_BAD = frozenset({"failed", "held"})
"""Outcomes that somebody has to look into; to refuse a model is a cycle's work."""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened at one moment of a span."""

    name: str
    at: datetime
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a cycle."""

    key: str
    """Which of the cycle's; its id follows from that (`schemas.watching.traces`)."""
    parent: str | None
    """The key of the span that it is a part of; None for the cycle itself."""
    name: str
    start: datetime
    end: datetime
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[Happened, ...] = ()
    error: str | None = None
    """Why it counts as failed; None where it does not."""


def spans_of(cycle: Record) -> list[Span]:
    """The spans of a cycle that has ended, as `consumer.ledger.past_cycles` gives it.

    The first is that of the cycle, from the claim to the end. A result of an earlier release names no moments of its
    steps and attempts, and has no spans of them.
    """
    result: Record = cycle["result"] or {}
    claimed, ended = _moment(cycle["claimed_at"]), _moment(cycle["ended_at"])
    attempts = list(_attempts(result, ended))
    steps = list(_steps(result, attempts[-1].key if attempts else ROOT))
    return [
        _cycle(cycle, result, claimed, ended),
        *_waiting(cycle["lineage"], claimed),
        *attempts,
        *steps,
        *_settling(cycle, attempts, ended),
    ]


def _cycle(cycle: Record, result: Record, claimed: datetime, ended: datetime) -> Span:
    version, lineage = cycle["version"], cycle["lineage"]
    attributes = {
        "retrainer.cycle.id": cycle["cycle_id"],
        "retrainer.cycle.kind": cycle["kind"],
        "retrainer.cycle.trigger": cycle["reason"],
        "retrainer.cycle.outcome": cycle["state"],
        "retrainer.cycle.reason": result.get("reason"),
        "retrainer.cycle.settled": cycle["settled"],
        "retrainer.cycle.failed_attempts": cycle["attempts"],
        "retrainer.cycle.changed_users": lineage["changed_users"],
        "retrainer.cycle.changed_labels": lineage.get("changed_labels"),
        "retrainer.version": version and version["version"],
        "retrainer.base_version": cycle["base_version"],
        "error.type": cycle["state"] if cycle["state"] in _BAD else None,
    }
    error = result.get("reason") or cycle["last_error"] or "" if cycle["state"] in _BAD else None
    return Span(ROOT, None, f"cycle {cycle['kind']}", claimed, max(claimed, ended), _said(attributes), (), error)


def _waiting(lineage: Record, claimed: datetime) -> Iterator[Span]:
    """How long the oldest change has waited, from its event to the claim: it begins before the cycle does."""
    first = lineage.get("first_event_at")
    if first is None or (start := _moment(first)) >= claimed:
        return
    offsets = lineage.get("offsets") or {}
    events = sum(end - begin for partitions in offsets.values() for begin, end in partitions.values())
    attributes = {
        "messaging.system": "kafka",
        "messaging.destination.name": ",".join(sorted(offsets)) or None,
        "messaging.batch.message_count": events,
    }
    yield Span(_WAITED, ROOT, _WAITED, start, claimed, _said(attributes))


def _attempts(result: Record, ended: datetime) -> Iterator[Span]:
    known = result.get("attempts") or []
    last_step = max((end for _, _, end in _timed(result)), default=ended)
    ends = [*(_moment(following["began"]) for following in known[1:]), *([min(last_step, ended)] if known else [])]
    for number, (attempt, unless_seen) in enumerate(zip(known, ends, strict=True), 1):
        start = _moment(attempt["began"])
        end = max(start, _moment(attempt["ended"]) if attempt["ended"] else unless_seen)
        error = attempt["error"]
        if error is None and attempt["ended"] is None and number < len(known):
            error = "cut short: the service was stopped, or died"
        events = (Happened("exception", end, {"exception.message": error}),) if error else ()
        attributes = {"retrainer.cycle.attempt": number}
        yield Span(f"attempt {number}", ROOT, "attempt", start, end, attributes, events, error)


def _steps(result: Record, parent: str) -> Iterator[Span]:
    for step, start, end in _timed(result):
        attributes = {f"retrainer.{step}.{name}": value for name, value in _facts(step, result).items()}
        events = tuple(_decided(step, result, end))
        yield Span(f"step {step}", parent, step, start, end, _said(attributes), events)


def _timed(result: Record) -> Iterator[tuple[str, datetime, datetime]]:
    """The steps whose moments are known."""
    starts, seconds = result.get("step_starts") or {}, result.get("seconds") or {}
    for step in starts.keys() & seconds.keys():
        start = _moment(starts[step])
        yield step, start, start + timedelta(seconds=seconds[step])


def _facts(step: str, result: Record) -> dict[str, Any]:
    """What a step has found, as far as it is a number, a word or a sentence; lists and tables stay on record."""
    parts = {"read": "read", "pair": "pairs", "probe": "probe", "fit": "fit"}
    if step in parts:
        return dict(result.get(parts[step]) or {})
    match step:
        case "embed":
            return {"users": result.get("known_users")}
        case "base":
            return {"version": result.get("base_version")}
        case "register":
            return {"version": result.get("version")}
        case "gate":
            gate = result.get("gate") or {}
            shown = {name: gate.get(name) for name in ("outcome", "users", "pairs", "judged_by", "lower_bound")}
            for whose in ("challenger", "champion"):
                shown |= {f"{whose}.{name}": value for name, value in (gate.get(whose) or {}).items()}
            return shown
    return {}


def _decided(step: str, result: Record, at: datetime) -> Iterator[Happened]:
    gate = result.get("gate")
    if step == "gate" and gate:
        told = {"retrainer.gate.outcome": gate["outcome"], "retrainer.gate.reason": gate["reason"]}
        yield Happened("gate decision", at, told)


def _settling(cycle: Record, attempts: list[Span], ended: datetime) -> Iterator[Span]:
    """From the end of the trainer's work to that of the cycle: the ledger settles it, and may promote its version."""
    if not attempts:
        return
    version, start = cycle["version"], min(attempts[-1].end, ended)
    promoted = [one for one in (version or {}).get("promotions", ()) if one["action"] == "cycle"]
    attributes = _said(
        {
            "retrainer.version": version and version["version"],
            "retrainer.version.promoted": bool(promoted) if version else None,
            "retrainer.version.not_promoted": version and version["not_promoted"],
            "retrainer.cycle.settled": cycle["settled"],
        }
    )
    events = [Happened("registered", ended, {"retrainer.version": version["version"]})] if version else []
    for one in promoted:
        told = _said({"retrainer.version": version["version"], "retrainer.version.previous": one["previous"]})
        events.append(Happened("promoted", _moment(one["at"]), told))
    yield Span("settle", ROOT, "settle", start, ended, attributes, tuple(events))


def _said(attributes: Mapping[str, Any]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if isinstance(value, str | int | float | bool)}


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written)
