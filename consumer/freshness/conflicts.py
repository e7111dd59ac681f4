"""Settings that are sound one by one, and with which the freshness promise cannot always be kept."""

from __future__ import annotations

from collections.abc import Iterator

from consumer.configuration.slo import SloSettings
from schemas.policies import TriggerPolicy
from schemas.times.durations import about
from schemas.times.quiet_hours import longest

DAY = 86_400.0


def conflicts(slo: SloSettings, policy: TriggerPolicy, expected: float | None) -> tuple[str, ...]:
    """What will break the promise, or exhausts the budget, sooner or later: a sentence each, with the way out.

    Args:
        slo: what is promised.
        policy: by which cycles start.
        expected: how many seconds a cycle takes, by those on record; None before the first.
    """
    return (*_of_promise(slo, policy, expected), *_of_budget(slo, policy, expected))


def _of_promise(slo: SloSettings, policy: TriggerPolicy, expected: float | None) -> Iterator[str]:
    if (promised := slo.freshness) is None:
        return
    cycle = expected or 0.0
    takes = f" and a cycle takes about {about(cycle)}" if expected else ""
    if cycle >= promised:
        yield (
            f"a cycle takes about {about(cycle)}, and a change is promised to be learned in {about(promised)}: "
            "promise more by RETRAINER_SLO__FRESHNESS, or make cycles shorter"
        )
    elif policy.min_interval + 2 * cycle > promised:
        # A change that arrives just after a claim waits for that cycle, for the pause after it, and for its own.
        yield (
            f"cycles keep {about(policy.min_interval)} apart{takes}, so a change that arrives while one runs may not "
            f"be learned in {about(promised)}: lower RETRAINER_TRIGGER__MIN_INTERVAL, or promise more by "
            "RETRAINER_SLO__FRESHNESS"
        )
    quiet = longest(policy.quiet_hours)
    if quiet + cycle > promised and not slo.outranks_quiet_hours and quiet:
        yield (
            f"quiet hours of {about(quiet)}{takes}, so a change that arrives in them may not be learned in "
            f"{about(promised)}: shorten RETRAINER_TRIGGER__QUIET_HOURS, set RETRAINER_SLO__OUTRANKS_QUIET_HOURS=true, "
            "or promise more by RETRAINER_SLO__FRESHNESS"
        )


def _of_budget(slo: SloSettings, policy: TriggerPolicy, expected: float | None) -> Iterator[str]:
    minutes = policy.training_minutes_a_day
    if minutes is None or not expected:
        return
    if minutes * 60 < expected:
        yield (
            f"the training budget of {minutes:g} minutes a day is less than the {about(expected)} that a cycle takes: "
            "after each cycle none starts for a day; raise RETRAINER_TRIGGER__TRAINING_MINUTES_A_DAY"
        )
    elif slo.freshness is not None and slo.freshness > expected:
        # Each cycle begins when the oldest change is due, and the next change arrives at that moment.
        needed = expected * DAY / slo.freshness / 60
        if needed > minutes:
            yield (
                f"where changes never stop, cycles of about {about(expected)} work {needed:.0f} minutes a day to keep "
                f"{about(slo.freshness)}, and the training budget is {minutes:g}: raise "
                "RETRAINER_TRIGGER__TRAINING_MINUTES_A_DAY, or promise more by RETRAINER_SLO__FRESHNESS"
            )
