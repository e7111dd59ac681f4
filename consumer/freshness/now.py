"""How it stands with the freshness promise now, as the ledger and the service that runs cycles tell."""

from __future__ import annotations

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.cycles.runner_report import LIVE
from consumer.freshness.conflicts import conflicts
from consumer.freshness.forecast import Outlook
from consumer.freshness.verdict import Verdict, judge
from consumer.ledger.ledger import Ledger
from consumer.ledger.watching.kept import Kept
from consumer.settings import Settings
from schemas.log_events.service import PROMISE_IN_DOUBT
from schemas.times.quiet_hours import spans_around

log = structlog.get_logger()


def freshness_now(settings: Settings, ledger: Ledger, now: float) -> Verdict:
    """The verdict on the promise of `settings.slo`, at `now` in seconds since the epoch.

    Cheap enough to be asked for every second, from any thread. Database errors pass through.
    """
    slo, policy = settings.slo, settings.trigger
    expected = ledger.training.expected()
    waiting = ledger.unlearned.now()
    seconds = None if expected is None else expected.seconds
    if slo.freshness is None:
        return judge(slo, policy, Outlook(waiting=waiting, runner=True, expected=seconds), Kept(), Kept(), now)
    runner = next((one.state for one in ledger.instances.heard_within(LIVE) if one.state.get("runs_cycles")), None)
    said = runner or {}
    hours = policy.quiet_hours
    seen = Outlook(
        waiting=waiting,
        runner=runner is not None,
        unable=said.get("unable"),
        hold=said.get("hold"),
        hold_until=said.get("hold_until"),
        expected=seconds,
        quiet=spans_around(hours, policy.quiet_hours_zone, now) if hours else (),
        outranks_quiet=slo.outranks_quiet_hours,
    )
    return judge(slo, policy, seen, *ledger.samples.kept(slo.freshness, now), now)


def warn_of_conflicts(settings: Settings, ledger: Ledger) -> None:
    """Log, at the start of a service, what of the settings keeps the promise from being kept."""
    try:
        expected = ledger.training.expected()
    except DBAPIError:  # the service starts all the same, and tells of its ledger
        expected = None
    for one in conflicts(settings.slo, settings.trigger, None if expected is None else expected.seconds):
        log.warning(PROMISE_IN_DOUBT, reason=one)
