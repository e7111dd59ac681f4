"""The trigger at work: in each turn the state of ledger and listener is gathered for its decision.

Times on record are wall times. They are converted to a clock that nobody sets before anything is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from consumer.clock import Ages, Clock
from consumer.configuration.slo import SloSettings
from consumer.cycles.restraints import start_by
from consumer.cycles.training_budget import at_work, used_up_until
from consumer.cycles.trigger import Probe, Reason, Start, TriggerState, Wait, decide, enough, full_waits
from consumer.cycles.trigger_terms import UNASKED_FROM_SCRATCH
from consumer.ledger.efforts import Efforts, Failed, efforts
from consumer.ledger.ledger import Ledger
from consumer.ledger.probes import Probed
from consumer.ledger.views import Held, History
from schemas.policies import TriggerPolicy
from schemas.times.quiet_hours import Span, quiet_until, spans_around


@dataclass(frozen=True, slots=True)
class FullWaits:
    """A full retrain would start, and has to wait while other cycles go on."""

    reason: str
    """Why the full retrain would start."""
    hold: str
    """Why the full retrain waits."""
    until: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the trigger has decided, with what `status` shows of that. Times are seconds since the epoch."""

    outcome: Start | Probe | Wait
    pending_users: int = 0
    """Pending users that no cycle has tried."""
    pending_labels: int = 0
    held: Held | None = None
    failed: Failed | None = None
    full_waits: FullWaits | None = None
    until: float | None = None
    """When a wait is over even if no event arrives."""

    @property
    def hold(self) -> str | None:
        """Why no cycle starts; None where one does."""
        return self.outcome.hold.value if isinstance(self.outcome, Wait) else None


class Deciding:
    """Decides for one instance.

    Args:
        policy: the rules.
        ledger: where changes and cycles are on record.
        clock: the time, of which only differences count; quiet hours go by the wall clock.
        slo: the freshness promise; without one, no cycle starts for it.
        longest_attempt: seconds that an attempt at a cycle may take.
    """

    def __init__(
        self,
        policy: TriggerPolicy,
        ledger: Ledger,
        clock: Clock,
        slo: SloSettings | None = None,
        longest_attempt: float = 3600.0,
    ) -> None:
        self._slo = slo or SloSettings()
        self._longest_attempt = longest_attempt
        self._policy = policy
        self._ledger = ledger
        self._clock = clock
        self._ages = Ages(clock)
        self._enough_since: float | None = None

    def decide(self, *, busy: bool, probing: bool, caught_up: bool, others_caught_up: bool = True) -> Decision:
        """Decide now.

        Args:
            busy: whether a cycle runs.
            probing: whether a probe runs.
            caught_up: whether this instance has read all that there was.
            others_caught_up: whether all other instances have.
        """
        policy, ledger = self._policy, self._ledger
        past = ledger.views.history()
        found = efforts(ledger.engine, UNASKED_FROM_SCRATCH, policy.max_full_per_day)
        state = trigger_state(ledger, past, found, busy=busy, caught_up=caught_up)
        state = replace(state, others_caught_up=others_caught_up)
        if policy.regret is not None:
            state = with_probe(state, ledger.probes.last(), busy=probing)
        state = self._with_limits(self._with_our_times(state))
        elapsed, now = self._clock.elapsed(), self._clock.now()
        outcome, waits = decide(policy, state, elapsed), full_waits(policy, state, elapsed)
        until = outcome.until if isinstance(outcome, Wait) else None
        return Decision(
            outcome,
            state.pending_users,
            state.pending_labels,
            past.held,
            found.failed,
            None if waits is None else _with_wall_time(*waits, now - elapsed),
            None if until is None else round(until + (now - elapsed), 3),  # the two clocks are not read at one moment
        )

    def _with_our_times(self, state: TriggerState) -> TriggerState:
        """The same, with all times on the clock that nobody sets."""
        times = (
            state.oldest_change,
            state.newest_change,
            state.last_cycle_end,
            state.last_refused_from_scratch,
            state.last_full_end,
            state.probed_at,
        )
        self._ages.see([*times, *state.full_ends])
        oldest, newest, last_end, last_refused, last_full_end, probed_at = map(self._ages.moment, times)
        ours = replace(
            state,
            oldest_change=oldest,
            newest_change=newest,
            last_cycle_end=last_end,
            last_refused_from_scratch=last_refused,
            last_full_end=last_full_end,
            probed_at=probed_at,
            full_ends=tuple(at for end in state.full_ends if (at := self._ages.moment(end)) is not None),
        )
        if enough(self._policy, ours) is None:
            self._enough_since = None
        elif self._enough_since is None:
            self._enough_since = self._clock.elapsed()
        return replace(ours, enough_since=self._enough_since)

    def _with_limits(self, state: TriggerState) -> TriggerState:
        """The same, with quiet hours, training budget and promise, on the clock that nobody sets."""
        policy, slo = self._policy, self._slo
        now, elapsed = self._clock.now(), self._clock.elapsed()
        ahead = now - elapsed
        spans = spans_around(policy.quiet_hours, policy.quiet_hours_zone, now) if policy.quiet_hours else ()
        quiet = [Span(span.begin - ahead, span.end - ahead) for span in spans]
        due = budget_until = None
        if policy.training_minutes_a_day is not None:
            work = at_work(self._ledger.training.ran(now), self._longest_attempt, now)
            budget_until = used_up_until(work, policy.training_minutes_a_day * 60, now)
        if slo.freshness is not None and state.oldest_change is not None:
            expected = self._ledger.training.expected()
            due = start_by(
                state.oldest_change,
                slo.freshness,
                0.0 if expected is None else expected.seconds,
                quiet,
                outranks_quiet=slo.outranks_quiet_hours,
            )
        return replace(
            state,
            start_by=due,
            outranks_quiet=slo.outranks_quiet_hours,
            quiet_until=quiet_until(quiet, elapsed),
            budget_until=None if budget_until is None else budget_until - ahead,
        )


def trigger_state(ledger: Ledger, past: History, found: Efforts, *, busy: bool, caught_up: bool) -> TriggerState:
    """What the trigger decides by, as ledger and listener know it now, with times as they are on record."""
    backlog = ledger.views.backlog()
    return TriggerState(
        pending_users=backlog.untried,
        known_users=past.known_users,
        pending_labels=backlog.untried_labels,
        given_back=backlog.users + backlog.labels - backlog.untried - backlog.untried_labels,
        known_labels=past.known_labels,
        oldest_change=backlog.oldest_change,
        newest_change=backlog.newest_change,
        last_cycle_end=past.last_end,
        last_cycle_failed=past.last_failed,
        has_champion=past.champion is not None,
        fruitless_in_a_row=found.fruitless_in_a_row,
        rejections_in_a_row=past.rejections_in_a_row,
        held_in_a_row=past.held.in_a_row if past.held else 0,
        held_asks_full=past.held is not None and past.held.asks_full is not None,
        refused_from_scratch=found.refused_from_scratch,
        last_refused_from_scratch=found.last_refused_from_scratch,
        failed_fulls=found.failed_fulls,
        full_ends=found.full_ends,
        cycle_running=busy,
        paused=ledger.orders.paused() is not None,
        caught_up=caught_up,
        asked=ledger.retrain_requests.open("operator"),
        full_retrain_due=ledger.retrain_requests.open("schedule") is not None,
        drifted=ledger.retrain_requests.why_full() is not None,
        last_full_end=past.last_full_end,
    )


def with_probe(state: TriggerState, last: Probed | None, *, busy: bool) -> TriggerState:
    """The same, with what the last probe found, if it still counts."""
    if last is None:
        return replace(state, probing=busy)
    return replace(state, probing=busy, probed_at=last.at, probed_changes=last.changes, regret=last.lost)


def _with_wall_time(reason: Reason, wait: Wait, ahead: float) -> FullWaits:
    assert wait.until is not None
    return FullWaits(reason.value, wait.hold.value, wait.until + ahead)
