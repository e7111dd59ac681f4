"""What the cycles on record come to. Each is read once, when it has ended: a scrape costs the same after a year.

How many ended how is counted of all of them, by an index. What lies in their results (durations, reasons, calls) is
counted of those that ended since this instance started: a counter may begin again at 0, and a year of results takes
400 MB.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Engine

from consumer.ledger.watching.ended import (
    Ended,
    challenger_of,
    count_ended,
    ended_after,
    ended_since,
    last_gate,
    result_of,
    result_of_version,
)
from consumer.metrics.ledger_metrics import (
    CALL_SECONDS,
    CHAMPION_LIMIT,
    CYCLE_SECONDS,
    CYCLES,
    FIGURE,
    HELD,
    HELD_CYCLES,
    OUTCOMES,
    REFUSED_ROWS,
    STEP_SECONDS,
)
from consumer.metrics.metric import Metric
from consumer.metrics.readings import Readings, Spread
from schemas.cycle import CycleKind, Outcome, Step
from schemas.guard import GuardName


class CycleTally:
    """Counts cycles. Not safe to use from several threads at once.

    Args:
        started_at: from when on results are counted, in seconds since the epoch.
    """

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._last: int | None = None
        self._ended: Counter[tuple[str, str]] = Counter()
        self._held: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._calls: dict[tuple[str, str, str], tuple[int, float]] = {}
        self._cycle_seconds = {str(kind): _spread(CYCLE_SECONDS) for kind in CycleKind}
        self._step_seconds = {str(step): _spread(STEP_SECONDS) for step in Step}
        self._gate: dict[str, Any] | None = None
        self._of_version: tuple[int, dict[str, float | None] | None] | None = None
        self._holding: tuple[str, frozenset[str]] | None = None

    def follow(self, engine: Engine) -> None:
        """Count what has ended since the last call."""
        if self._last is None:
            counted = count_ended(engine)
            gate = last_gate(engine, counted.number)
            since = list(ended_since(engine, self._started_at, counted.number))
            self._ended.update(counted.by_kind_and_outcome)
            for one in reversed(since):
                self._count_result(one)
            self._gate, self._last = gate, counted.number
        for one in ended_after(engine, self._last):
            self._ended[one.kind, one.outcome] += 1
            self._count_result(one)
            self._last = one.number

    def tell(self, into: Readings, engine: Engine, champion: int | None, held: str | None) -> None:
        """Put what was counted into a page; `held` is the id of the last cycle where that is held."""
        for kind in CycleKind:
            for outcome in OUTCOMES:
                into.put(CYCLES, self._ended[kind.value, outcome], kind=kind, outcome=outcome)
        for name, spread in self._cycle_seconds.items():
            into.put_spread(CYCLE_SECONDS, spread, kind=name)
        for name, spread in self._step_seconds.items():
            into.put_spread(STEP_SECONDS, spread, step=name)
        holding = self._limits_of(engine, held)
        for limit in (*map(str, GuardName), CHAMPION_LIMIT):
            into.put(HELD, limit in holding, limit=limit)
            into.put(HELD_CYCLES, self._held[limit], limit=limit)
        for what, reasons in (("users", self._reasons("users")), ("labels", self._reasons("labels"))):
            for reason, count in reasons.items():
                into.put(REFUSED_ROWS, count, what=what, reason=reason)
        for (where, call, outcome), (count, seconds) in self._calls.items():
            into.put_sum(CALL_SECONDS, count, seconds, where=where, call=call, outcome=outcome)
        _tell_figures(into, "challenger", challenger_of(self._gate or {}))
        _tell_figures(into, "champion", self._figures_of(engine, champion))

    def _count_result(self, ended: Ended) -> None:
        result = ended.result
        if (spread := self._cycle_seconds.get(ended.kind)) is not None:
            spread.saw(ended.took)
        for step, seconds in (result.get("seconds") or {}).items():
            if (spread := self._step_seconds.get(step)) is not None:
                spread.saw(seconds)
        if ended.outcome == Outcome.HELD:
            self._held.update(holding_limits(result))
        for what, report in (("users", result.get("read")), ("labels", result.get("labels"))):
            for reason, count in ((report or {}).get("refused_kinds") or {}).items():
                self._refused[what, reason] += count
        for call in result.get("calls") or ():
            count, seconds = self._calls.get(key := (call["where"], call["call"], call["outcome"]), (0, 0.0))
            self._calls[key] = count + call["count"], seconds + call["seconds"]
        if challenger_of(result) is not None:
            self._gate = result

    def _reasons(self, what: str) -> dict[str, int]:
        return {reason: count for (of, reason), count in self._refused.items() if of == what}

    def _limits_of(self, engine: Engine, held: str | None) -> frozenset[str]:
        if held is None:
            return frozenset()
        if self._holding is None or self._holding[0] != held:
            self._holding = held, holding_limits(result_of(engine, held) or {})
        return self._holding[1]

    def _figures_of(self, engine: Engine, champion: int | None) -> dict[str, float | None] | None:
        """The champion's figures by the last exam that it took: as champion, or as the challenger that it was."""
        gate = self._gate or {}
        if champion is None:
            return None
        if gate.get("base_version") == champion and gate.get("version") is None:
            return (gate.get("gate") or {}).get("champion")
        if self._of_version is None or self._of_version[0] != champion:
            self._of_version = champion, challenger_of(result_of_version(engine, champion) or {})
        return self._of_version[1]


def holding_limits(result: dict[str, Any]) -> frozenset[str]:
    """The limits for which a held cycle is held; where there is none, its champion could not be had."""
    findings = (result.get("guard") or {}).get("findings") or ()
    limits = {one["name"] for one in findings if one["exceeded"] and not one.get("accepted")}
    return frozenset(limits or {CHAMPION_LIMIT})


def _tell_figures(into: Readings, model: str, figures: dict[str, float | None] | None) -> None:
    for name, value in (figures or {}).items():
        into.put(FIGURE, value, model=model, figure=name)


def _spread(metric: Metric) -> Spread:
    return Spread(metric.buckets)
