"""The freshness promise: whether the settings can keep it, and whether it is kept."""

from __future__ import annotations

import time

from consumer.errors import NoLedger, OldLedger
from consumer.freshness.conflicts import conflicts
from consumer.freshness.now import freshness_now
from consumer.freshness.verdict import FreshnessState, Verdict
from consumer.ledger.looking import look
from retrainer.doctor.checks import Check, Finding, ok, skipped, warning
from retrainer.doctor.context import CheckContext

FRESHNESS = "freshness"


def promise_checks(context: CheckContext, needs: tuple[str, ...]) -> list[Check]:
    """Whether what is promised can be kept, and is; no check where nothing is.

    A promise that is broken is a warning, as cycles may run well.
    """
    settings = context.settings
    if settings.slo.freshness is None and settings.trigger.training_minutes_a_day is None:
        return []
    return [Check(FRESHNESS, lambda: _look(context), needs=needs)]


def _look(context: CheckContext) -> Finding:
    settings = context.settings
    verdict: Verdict | None = None
    try:
        verdict = look(settings.ledger.url, lambda ledger: freshness_now(settings, ledger, time.time()))
    except OldLedger:
        return skipped("the ledger has to be brought up to date first")
    except NoLedger:
        pass
    clash = conflicts(settings.slo, settings.trigger, verdict.expected_cycle if verdict else None)
    if clash:
        first, _, way_out = clash[0].partition(": ")
        more = f" (and {len(clash) - 1} more, in `retrainer status`)" if clash[1:] else ""
        return warning(f"cannot always be kept: {first}{more}", way_out)
    if verdict is not None and verdict.state is FreshnessState.BROKEN and verdict.reason is not None:
        found, _, way_out = verdict.reason.rpartition("; ")
        return warning(found, way_out)
    return ok(verdict.in_words.splitlines()[0] if verdict else "can be kept, as far as the settings say")
