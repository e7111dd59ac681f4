"""Answers of the HTTP API. Those of status, cycles and versions are what the command line gives by `--json`.

Later releases may add fields to any of them.
"""

from __future__ import annotations

from pydantic import AwareDatetime

from schemas.base import Frozen
from schemas.compatibility import CompatibilityReport
from schemas.cycle import CycleKind, CycleResult, GateReport, Lineage, Metrics, OffsetRanges, ProbeReport
from schemas.guard import GuardName
from schemas.promotions import PromotionAction
from schemas.spans import OffsetSpans


class Wrong(Frozen):
    """What is wrong, and the way out."""

    what: str
    way_out: str


class ErrorAnswer(Frozen):
    """An answer that is no success."""

    error: Wrong


class LagKnown(Frozen):
    """The lag when it was last known."""

    events: int
    at: float
    """Seconds since the epoch."""


class Failing(Frozen):
    """What fails. Times are seconds since the epoch."""

    cycle_id: str
    attempts: int
    of: int
    cycles_in_a_row: int
    error: str
    at_work: bool
    next_try_at: float | None


class FullWaiting(Frozen):
    """A full retrain that has to wait."""

    reason: str
    hold: str
    until: float
    """Seconds since the epoch."""


class PendingNow(Frozen):
    """What no registered version has learned; labels where there is a label group."""

    users: int
    untried_users: int
    labels: int | None = None
    untried_labels: int | None = None
    oldest_age_s: float | None


class RunningCycle(Frozen):
    """The cycle under way. Of a cycle that another instance runs only some of this is known."""

    cycle_id: str
    kind: CycleKind
    reason: str
    users: int
    labels: int | None = None
    state: str
    step: str | None = None
    done: int | None = None
    total: int | None = None
    attempts: int
    running_s: float | None = None
    last_error: str | None
    next_try_at: float | None = None


class StandingOrder(Frozen):
    """A pin, a pause or a hold-down."""

    by: str
    at: AwareDatetime
    reason: str
    version: int | None = None
    until: AwareDatetime | None = None


class LastCycle(Frozen):
    """How the last cycle ended."""

    cycle_id: str
    kind: CycleKind
    outcome: str
    reason: str
    way_out: str | None
    version: int | None
    ended_at: AwareDatetime


class HeldNow(Frozen):
    """Why the last cycle was held."""

    cycle_id: str
    kind: CycleKind
    reason: str
    way_out: str
    at: AwareDatetime
    in_a_row: int
    asks_full: str | None


class ProbeNow(Frozen):
    """What the last probe has found."""

    at: AwareDatetime
    version: int | None
    changes: int
    regret: float | None
    told: str
    error: float | None


class InstanceNow(Frozen):
    """One of the services on the ledger."""

    name: str
    id: str
    state: str | None
    runs_cycles: bool | None
    partitions: int | None
    lag: int | None
    unable: str | None
    trouble: str | None


class Gap(Frozen):
    """Events that were lost."""

    topic: str
    partition: int
    from_offset: int
    to_offset: int
    at: AwareDatetime
    reason: str


class ModelEventsNow(Frozen):
    """How many model events wait for each channel, and what the webhook never got."""

    waiting: dict[str, int]
    trouble: str | None
    given_up: int
    given_up_because: str | None


class VectorsNow(Frozen):
    """The published vectors."""

    version: int | None
    users: int | None
    as_of: str | None
    created_at: AwareDatetime | None
    out: str
    trouble: str | None


class FreshnessNow(Frozen):
    """How it stands with the freshness promise. Spans are seconds; shares lie between 0 and 1; null is not known."""

    state: str
    """`none` where nothing is promised; `kept`, `at_risk` or `broken`."""
    target: float | None
    """A change is to be learned at the latest so long after it arrived."""
    oldest_age: float | None
    """Of the changes that the champion has not learned; null where there is none."""
    learned_in: float | None
    """Until the oldest of them is learned, as far as can be foreseen."""
    expected_cycle: float | None
    reason: str | None
    """Why it is not kept, and the way out."""
    objective: float | None
    kept_day: float | None
    kept_week: float | None
    known_week: float | None
    error_budget_left: float | None
    conflicts: tuple[str, ...]
    """Settings with which the promise cannot always be kept."""


class ChannelNow(Frozen):
    """A channel of notifications."""

    waiting: int
    trouble: str | None
    """Why it does not take messages; null where it does."""


class AlertNow(Frozen):
    """An alert that was told, and is not over."""

    name: str
    since: AwareDatetime
    told_at: AwareDatetime
    summary: str


class NotificationsNow(Frozen):
    """What waits for each channel that is set, and the alerts on record."""

    channels: dict[str, ChannelNow]
    left_out: str | None
    alerts: tuple[AlertNow, ...]


class StatusAnswer(Frozen):
    """`retrainer status --json`, and what the page needs beside it."""

    state: str
    trouble: str | None
    unable: str | None
    lag: int | None
    notice: str | None
    lag_known: LagKnown | None
    hold: str | None
    """Why no cycle is started now."""
    hold_until: float | None
    """Seconds since the epoch."""
    failing: Failing | None
    full_waits: FullWaiting | None
    pending: PendingNow
    cycle: RunningCycle | None
    champion: int | None
    served: dict[str, str] | None
    pin: StandingOrder | None
    pause: StandingOrder | None
    hold_down: StandingOrder | None
    last_cycle: LastCycle | None
    cycles_since_version: dict[str, int]
    held: HeldNow | None
    asks_full: str | None
    full_on_drift: bool
    probe: ProbeNow | None
    known_users: int
    known_labels: int | None = None
    events: int
    ignored: int
    ignored_because: dict[str, int]
    dead_letters: int
    page: str | None
    """Where the page and this API are served."""
    instances: tuple[InstanceNow, ...]
    open_dead_letters: int
    refused: dict[str, int]
    gaps: tuple[Gap, ...]
    model_events: ModelEventsNow | None
    vectors: VectorsNow | None
    ledger: str
    state_dir: str
    freshness: FreshnessNow
    notifications: NotificationsNow | None
    """Null where no channel is set."""
    actions: bool
    """Whether a token is set, so that orders are taken."""
    release: str | None


class Promoted(Frozen):
    """One time that a version became champion, and until when it was."""

    at: AwareDatetime
    action: PromotionAction
    by: str | None
    reason: str
    previous: int | None
    until: AwareDatetime | None
    followed_by: int | None


class VersionOfCycle(Frozen):
    """What became of a cycle's version."""

    version: int
    registered_at: AwareDatetime
    champion: bool
    not_promoted: str | None
    withdrawn: bool
    deleted_at: AwareDatetime | None
    promotions: tuple[Promoted, ...]


class PastCycle(Frozen):
    """A cycle with all that is on record, as `retrainer cycles --json` gives it, and its decision."""

    number: int
    cycle_id: str
    kind: CycleKind
    reason: str
    state: str
    """`running`, or how it ended."""
    base_version: int | None
    accept: tuple[GuardName, ...]
    settled: bool
    lineage: Lineage
    claimed_at: AwareDatetime
    ended_at: AwareDatetime | None
    result: CycleResult | None
    baseline_version: int | None
    attempts: int
    last_error: str | None
    version: VersionOfCycle | None
    decision: str | None
    """How it ended, in a sentence for people; null while it runs."""


class CyclesAnswer(Frozen):
    """Cycles, newest first."""

    cycles: tuple[PastCycle, ...]
    more: bool
    """Whether there are earlier ones: ask again with `before`, the id of the last one here."""


class RegisteredVersion(Frozen):
    """A version, as `retrainer versions --json` gives it."""

    version: int
    cycle_id: str
    kind: CycleKind
    base_version: int | None
    champion: bool
    registered_at: AwareDatetime
    not_promoted: str | None
    withdrawn: bool
    deleted_at: AwareDatetime | None
    reason: str
    changed_users: int
    unchanged_users: int
    changed_labels: int
    unchanged_labels: int
    offsets: OffsetRanges
    replayed: OffsetSpans
    gaps: OffsetSpans
    pairs: int | None
    metrics: Metrics | None
    probe: ProbeReport | None
    gate: GateReport | None
    compatibility: CompatibilityReport | None


class VersionsAnswer(Frozen):
    """Versions, oldest first."""

    versions: tuple[RegisteredVersion, ...]
    more: bool
    """Whether there are earlier ones, which a greater `limit` shows."""


class Report(Frozen):
    """A cycle whose report can be had on this machine."""

    cycle_id: str
    at: AwareDatetime
    """When its evidence was written."""
    drawn: bool
    """Whether the page is there; else it is drawn when it is asked for."""


class ReportsAnswer(Frozen):
    """Reports, newest first."""

    reports: tuple[Report, ...]


class SampledAt(Frozen):
    """How the service was in a minute, or at the worst of several minutes."""

    at: AwareDatetime
    lag: int | None
    pending_users: int
    pending_labels: int
    oldest_pending_s: float | None
    champion: int | None
    training: bool
    consumer_bytes: int | None
    trainer_bytes: int | None
    events: int


class SamplesAnswer(Frozen):
    """Samples, oldest first."""

    samples: tuple[SampledAt, ...]


class RetrainAnswer(Frozen):
    """A cycle is asked for; it starts as soon as it may."""

    request: int
    """The number of the request."""
    kind: CycleKind
    accept: tuple[GuardName, ...]
    by: str
    running_cycle: str | None
    """The cycle under way, after which this one comes."""


class PauseAnswer(Frozen):
    """Cycles are paused."""

    pause: StandingOrder
    running_cycle: str | None
    """The cycle under way, which goes on to its end."""


class EndedAnswer(Frozen):
    """An order that stood has ended."""

    ended: StandingOrder


class PinAnswer(Frozen):
    """The champion is pinned."""

    version: int


class PromotionAnswer(Frozen):
    """The champion is another one, as `retrainer promote --json` gives it."""

    version: int
    cycle_id: str | None
    action: PromotionAction
    by: str | None
    reason: str
    at: AwareDatetime
    promotion: int
    previous: int | None
    withdrawn: tuple[int, ...]
    given_back: dict[str, int]
    learned: dict[str, int]
    forgotten_cycles: int
    hold_down_until: AwareDatetime | None
    running_cycle: str | None
    not_mirrored: str | None
    """Why the registry does not show it yet, where it is known; the service that runs cycles sees to it."""
