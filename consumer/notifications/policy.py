"""Which alerts begin, last and are over, and which news are told together.

Nothing here reads a clock or a ledger. What was told is on record in the ledger, so a restart repeats nothing; only how
long something has been wrong, or well again, is in memory, so a restart can delay a message, and not double it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from schemas.model_events import ModelEventType
from schemas.watching.notifications import AlertName

_WEAKER = {AlertName.FRESHNESS_AT_RISK: AlertName.FRESHNESS_BROKEN}
"""An alert that has come true: the record of the stronger one takes its place without a word."""
_PROMOTIONS = {ModelEventType.PROMOTED, ModelEventType.ROLLED_BACK}


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient the policy is. Times are seconds."""

    settle: float
    """So long something is wrong, or well again, before it is told."""
    repeat: float
    """After so long an alert that lasts is told again, and refusals in a row are."""
    per_hour: int
    """Most messages within an hour."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Since when things are wrong, and well again, by a clock that nobody sets."""

    wrong: Mapping[AlertName, float] = field(default_factory=dict)
    well: Mapping[AlertName, float] = field(default_factory=dict)


class Step(Enum):
    """What becomes of an alert."""

    BEGINS = auto()
    LASTS = auto()
    OVER = auto()
    REPLACED = auto()
    """By a stronger one, without a word."""


Judged = Sequence[tuple[Step, AlertName]]


def judge(
    rules: Rules, seen: Mapping[AlertName, bool], told: Mapping[AlertName, float], memory: Memory, now: float
) -> tuple[Judged, Memory]:
    """What becomes of each alert now. What is not carried out comes again at the next call.

    Args:
        rules: the patience.
        seen: whether each thing is wrong; what is not known is not in it, and neither begins nor ends.
        told: the alerts on record, with the time of their last message.
        memory: of the call before; empty after a restart.
        now: by the same clock as all other times.

    Returns:
        The steps, those first that people need first; and what to remember.
    """
    after = Memory(
        {name: memory.wrong.get(name, now) for name, wrong in seen.items() if wrong},
        {name: memory.well.get(name, now) for name, wrong in seen.items() if not wrong},
    )
    steps = [(step, name) for name in AlertName if (step := _step(name, rules, told, after, now)) is not None]
    return sorted(steps, key=lambda one: one[0].value), after


def _step(name: AlertName, rules: Rules, told: Mapping[AlertName, float], memory: Memory, now: float) -> Step | None:
    stronger = _WEAKER.get(name)
    if stronger in told:
        return Step.REPLACED if name in told else None
    if name not in told:
        return Step.BEGINS if now - memory.wrong.get(name, now + 1) >= rules.settle else None
    if name in memory.wrong:
        return Step.LASTS if now - told[name] >= rules.repeat else None
    return Step.OVER if now - memory.well.get(name, now + 1) >= rules.settle else None


@dataclass(frozen=True, slots=True)
class Told:
    """Events of versions that one message tells, or none does."""

    events: tuple[str, ...] = ()
    """Their ids, in order."""
    refused: int = 0
    """How many of them were refused."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """What becomes of news. What is in none of these waits until later."""

    silent: tuple[str, ...] = ()
    """Events that nobody is told of, such as those that an alert tells."""
    promotions: Told = Told()
    """One message, of the last of them; refusals before the last are counted in it."""
    refusals: Told = Told()
    """One message."""
    row_over: bool = False
    """Whether a row of refusals is over."""


def sort_news(
    news: Sequence[tuple[str, ModelEventType]],
    *,
    wanted: frozenset[str],
    row_told: float | None,
    repeat: float,
    now: float,
) -> Sorted:
    """Which news are told now, and together.

    The first refusal is told at once, those that follow in a row at most once in `repeat` seconds. A registered version
    ends the row.

    Args:
        news: events by id, in order.
        wanted: kinds that people want to hear of.
        row_told: when refusals of the present row were told last; None where there is no row.
        repeat: seconds.
        now: by the same clock.
    """
    last = max((at for at, (_, kind) in enumerate(news) if kind in _PROMOTIONS), default=-1)
    ended = max((at for at, (_, kind) in enumerate(news) if _ends_row(kind)), default=-1)
    before, after = news[: last + 1], news[last + 1 :]
    counted = {ModelEventType.REFUSED} if "refusal" in wanted else set[ModelEventType]()
    promotions = tuple(event for event, kind in before if kind in _PROMOTIONS | counted)
    refusals = tuple(
        event for at, (event, kind) in enumerate(news) if kind is ModelEventType.REFUSED and at > max(last, ended)
    )
    due = bool(refusals) and (row_told is None or ended >= 0 or now - row_told >= repeat)
    tells_promotion, tells_refusal = "promotion" in wanted and last >= 0, "refusal" in wanted and due
    told = {*(promotions if tells_promotion else ()), *(refusals if "refusal" in wanted else ())}
    return Sorted(
        silent=tuple(event for event, _ in [*before, *after] if event not in told),
        promotions=_told(news, promotions) if tells_promotion else Told(),
        refusals=_told(news, refusals) if tells_refusal else Told(),
        row_over=ended >= 0,
    )


def _ends_row(kind: ModelEventType) -> bool:
    return kind in _PROMOTIONS or kind is ModelEventType.REGISTERED


def _told(news: Sequence[tuple[str, ModelEventType]], events: tuple[str, ...]) -> Told:
    kinds = dict(news)
    return Told(events, sum(kinds[event] is ModelEventType.REFUSED for event in events))
