"""What is wrong, in words for people. Pure: the facts are handed in, with the time.

No sentence holds the id of a user or a secret: errors of trainers and of databases are cut to what is ours, or pointed
to. What is not known is left out of the answer, so that nothing begins or ends by ignorance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consumer.configuration.dead_letters import WAY_OUT
from consumer.notifications.facts import Facts, LedgerFacts
from consumer.status import Status
from schemas.watching.notifications import AlertName

_LONGEST = 300  # characters of what others say
_STILL = 300.0
"""Seconds in which nothing may move though there is work: longer than any rebalance or slow commit."""
_SILENT = 30.0
"""Seconds for which the main loop, which writes its status every second, may be silent."""
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong."""

    subject: str
    """A sentence."""
    details: str = ""
    way_out: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is wrong."""

    deaf: float
    """Seconds without a poll."""
    no_version_for: float | None
    """Seconds for which changes may wait for a version."""
    dead_letters: int
    """Open dead letters."""


Seen = dict[AlertName, Condition | None]
"""What is wrong, or None where it is known that all is well."""


def conditions(facts: Facts, limits: Limits) -> Seen:
    """What is wrong, as far as it is known."""
    seen: Seen = {}
    trouble = _trouble(facts)
    if facts.ledger is not None:
        seen |= dict(_of_ledger(facts.ledger, limits, facts.now))
    if trouble is not None or facts.status is not None:
        seen[AlertName.TROUBLE] = trouble
    if trouble is None and facts.status is not None:  # else trouble explains it
        seen[AlertName.STALLED] = _stalled(facts, facts.status, limits)
    seen |= dict(_of_freshness(facts))
    return seen


def _trouble(facts: Facts) -> Condition | None:
    said = facts.ledger_error or (facts.status.trouble if facts.status else None)
    return trouble_of(said) if said else None


def trouble_of(said: str) -> Condition:
    """Ledger or disk cannot be used, as `said`."""
    return Condition(
        f"Ledger or disk cannot be used: {in_brief(said)}",
        "Nothing is lost: the topic keeps the events until the ledger takes them.",
        "see `retrainer status`; mend the disk or the database, the service goes on by itself",
    )


def _stalled(facts: Facts, status: Status, limits: Limits) -> Condition | None:
    way_out = "see `retrainer status` and the log; `retrainer doctor` names what is not there"
    if facts.silent > _SILENT:
        return Condition(
            f"The service has not moved for {span(facts.silent)}",
            "Its main loop does not write its status.",
            "restart the service; nothing is lost by that",
        )
    if facts.deaf > limits.deaf:
        return Condition(f"The listener has not polled for {span(facts.deaf)}", "", way_out)
    if status.unable:
        return Condition(f"The service cannot read its topic: {in_brief(status.unable)}", _lag(status), way_out)
    if facts.reading_still > _STILL:
        return Condition(f"Nothing has been read for {span(facts.reading_still)}", _lag(status), way_out)
    if facts.idle > _STILL and facts.ledger is not None and facts.ledger.untried > 0:
        return Condition(
            f"No cycle has started for {span(facts.idle)}, and nothing holds one back",
            f"{facts.ledger.untried:,} changes wait.",
            way_out,
        )
    return None


def _of_ledger(ledger: LedgerFacts, limits: Limits, now: float) -> Iterator[tuple[AlertName, Condition | None]]:
    held, failed = ledger.held, ledger.failed
    yield (
        AlertName.HELD,
        None
        if held is None
        else Condition(
            f"A cycle is held: {in_brief(held.reason)}",
            f"Cycle {held.cycle_id}, {held.kind}. Nothing is learned from these data until somebody has looked.",
            held.way_out,
        ),
    )
    yield (
        AlertName.FAILING,
        None
        if failed is None
        else Condition(
            f"Cycle {failed.cycle_id} failed, and was given up after {_times(failed.attempts)}",
            "It is not the first: " + f"{failed.in_a_row} cycles failed one after another."
            if failed.in_a_row > 1
            else "Its changes are pending again, and the next cycle takes them.",
            f"`retrainer show {failed.cycle_id}` has the error; `retrainer train` tries at once",
        ),
    )
    yield AlertName.DEAD_LETTERS, _dead_letters(ledger, limits)
    yield AlertName.NO_VERSION, _no_version(ledger, limits, now)
    yield (
        AlertName.GAPS,
        None
        if not ledger.gaps
        else Condition(
            f"Events were lost before they were read: {ledger.gaps} gaps since the last full retrain",
            "The broker had deleted them already, so the model may not know some changes.",
            "`retrainer train --full` reads every user; a longer retention of the topic keeps it from happening again",
        ),
    )


def _dead_letters(ledger: LedgerFacts, limits: Limits) -> Condition | None:
    if ledger.reading_paused:
        return Condition("Reading has paused: there are too many dead letters", "", WAY_OUT)
    if ledger.open_letters < limits.dead_letters:
        return None
    many = "1 dead letter is" if ledger.open_letters == 1 else f"{ledger.open_letters:,} dead letters are"
    return Condition(
        f"{many} open: records that cannot be understood",
        "",
        "`retrainer dead-letters list` has the reasons; replay or discard them",
    )


def _no_version(ledger: LedgerFacts, limits: Limits, now: float) -> Condition | None:
    limit, since = limits.no_version_for, ledger.unlearned_since
    if limit is None or since is None or now - since < limit:
        return None
    last = "there is none yet" if ledger.champion is None else f"the champion is version {ledger.champion}"
    return Condition(
        f"Changes have waited for {span(now - since)}, and no version has learned them; {last}",
        "Cycles are paused by order of a person." if ledger.paused else f"Why none starts now: {ledger.hold or '-'}.",
        "`retrainer cycles` says how the last ones ended, and why",
    )


def _of_freshness(facts: Facts) -> Iterator[tuple[AlertName, Condition | None]]:
    verdict = facts.freshness
    if verdict is None:
        return
    state, why = verdict.state, in_brief(verdict.reason or "no reason is known")
    broken = Condition(f"The freshness promise is broken: {why}", "", "`retrainer status` has the figures")
    risk = Condition(f"The freshness promise is at risk: {why}", "", "`retrainer status` has the figures")
    yield AlertName.FRESHNESS_BROKEN, broken if state == "broken" else None
    if state != "broken":  # it says more
        yield AlertName.FRESHNESS_AT_RISK, risk if state == "at_risk" else None


def in_brief(text: str) -> str:
    """The first line of what others say, cut where it is long: the lines that follow may hold rows of a table."""
    line = " ".join(next(iter(text.strip().splitlines()), "").split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _lag(status: Status) -> str:
    return "" if status.last_lag is None else f"{status.last_lag:,} events were waiting when that was known last."


def _times(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def span(seconds: float) -> str:
    """A span of time, in the unit that people would take."""
    for unit, length in (("days", _DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
