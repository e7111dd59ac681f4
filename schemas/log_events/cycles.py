"""Events of cycles: their start, steps and end, the trainers that run them, and probes."""

from __future__ import annotations

from schemas.log_events.event import REASON, LogEvent

_CYCLE_ID = "the id of the cycle"
_KIND = "`bootstrap`, `incremental`, `full` or `backfill`"
_USERS = "users that the cycle has claimed"
_LABELS = "labels that the cycle has claimed; only where there are some"
_VERSION = "the version"

CYCLE_STARTED = LogEvent(
    "cycle started",
    "info",
    "A cycle has claimed what is pending.",
    cycle_id=_CYCLE_ID,
    kind=_KIND,
    reason="why the cycle starts",
    users=_USERS,
    labels=_LABELS,
    base_version="the champion, on which the cycle builds; null for the first cycle",
    accept="the limits of the guard that are waived; null where none is",
)
REPORT_NOT_DRAWN = LogEvent(
    "report not drawn",
    "warning",
    "The page of a cycle could not be drawn from its evidence. Nothing else is affected.",
    cycle_id=_CYCLE_ID,
    reason=REASON,
)
CYCLE_RESUMED = LogEvent(
    "cycle resumed",
    "info",
    "A cycle that an earlier process left running is run again under its id.",
    cycle_id=_CYCLE_ID,
    kind=_KIND,
    users=_USERS,
    labels=_LABELS,
)
CYCLE_HAD_ENDED = LogEvent(
    "cycle had ended",
    "info",
    "The trainer of a cycle had left its result before the service ended. The cycle is settled now.",
    cycle_id=_CYCLE_ID,
)
CYCLE_STEP = LogEvent(
    "step",
    "info",
    "The trainer reports how far a step of the cycle is.",
    cycle_id=_CYCLE_ID,
    step="`read`, `embed`, `pair`, `base`, `probe`, `fit`, `gate`, `package` or `register`",
    state="`started`, `running` or `done`",
    done="units of the step that are done; null where they are not counted",
    total="units of the step; null where that is not known",
    facts="what the step has found: an object, see the table of steps",
)
CYCLE_ENDED = LogEvent(
    "cycle ended",
    ("info", "error"),
    "A cycle is settled. An error where the data are held, as a person has to decide.",
    cycle_id=_CYCLE_ID,
    kind=_KIND,
    outcome="`registered`, `unchanged`, `rejected`, `inconclusive`, `held` or `failed`",
    version="the version that was registered; null where none was",
    reason="why the cycle ended so",
    base_version="the champion when the cycle began; null for the first cycle",
    changed_users=_USERS,
    changed_labels=_LABELS,
    pairs_before="similar pairs before the cycle; null where the cycle did not come so far, as in all that follow",
    pairs_after="similar pairs after the cycle",
    accuracy="accuracy of the challenger on the held-out users",
    champion_accuracy="accuracy of the champion on the same users",
    precision="precision of the challenger",
    champion_precision="precision of the champion",
    recall="recall of the challenger",
    champion_recall="recall of the champion",
    recall_at_10="recall of the challenger among the ten nearest",
    outcome_auc="AUC of the challenger on held-out labels; only where labels are learned, as the three that follow",
    recall_at_50="recall of the challenger among the fifty nearest, by held-out labels",
    champion_outcome_auc="AUC of the champion on held-out labels",
    champion_recall_at_50="recall of the champion among the fifty nearest, by held-out labels",
    way_out="what a person can do; null where nothing is to be done",
    asks_full="why a full retrain should follow; null where none should",
    seconds="seconds since the cycle claimed what was pending",
    trace_id="the id of the cycle's trace; only where traces are sent",
)

# What goes wrong in a cycle
TRAINER_FAILED = LogEvent(
    "trainer failed",
    "error",
    "The trainer ended without a result, or with a failure as its result.",
    cycle_id=_CYCLE_ID,
    reason=REASON,
    last_words="the end of the trainer's standard error; only where there is no result",
)
TRAINER_SAYS = LogEvent(
    "trainer says",
    ("info", "debug"),
    "A line that a trainer, or a library in it, wrote to standard output or standard error. What TensorFlow says of "
    "every machine is for debugging.",
    cycle_id="the id of the cycle; null where the trainer waits for one, and for a probe",
    pid="the process id of the trainer",
    line="the line",
)
TRAINER_SAYS_TOO_MUCH = LogEvent(
    "trainer says more than is logged",
    "warning",
    "What this trainer writes from now on is not logged. The end of it is still told if the trainer fails.",
    cycle_id="the id of the cycle; null where the trainer waits for one, and for a probe",
    pid="the process id of the trainer",
    lines="lines that were logged",
)
CYCLE_RETRIED = LogEvent(
    "cycle will be tried again",
    "warning",
    "An attempt failed, and attempts are left.",
    cycle_id=_CYCLE_ID,
    in_s="seconds until the next attempt",
    reason=REASON,
)
REGISTRATION_UNKNOWN = LogEvent(
    "not known yet whether the cycle has registered",
    "warning",
    "The cycle has failed, and the registry has to say first whether there is a version of it.",
    cycle_id=_CYCLE_ID,
    reason=REASON,
)
CYCLE_PUT_OFF = LogEvent(
    "cycle given up for now",
    "info",
    "The service ends in the middle of a cycle. The next start resumes the cycle.",
    cycle_id=_CYCLE_ID,
)
CYCLE_ABANDONED = LogEvent(
    "cycle abandoned to another instance",
    "warning",
    "Another instance has the lease, and runs the cycle now.",
    cycle_id=_CYCLE_ID,
)
NOT_MADE_CHAMPION = LogEvent(
    "version registered but not made champion",
    "warning",
    "A person's order stands against it: a pin, a pause, a hold-down, or a promotion or rollback while the cycle ran. "
    "The version is in the registry, and the changes are pending again.",
    cycle_id=_CYCLE_ID,
    version=_VERSION,
    reason="what stands against it: by whom, since when, and why",
)
CHANGES_GIVEN_BACK = LogEvent(
    "changes given back: the champion changed meanwhile",
    "warning",
    "A person has promoted or rolled back while the cycle ran, which had found nothing to learn. The changes are "
    "pending again.",
    cycle_id=_CYCLE_ID,
    users=_USERS,
    labels=_LABELS,
)
WAITING_TRAINER_ENDED = LogEvent(
    "waiting trainer ended",
    "warning",
    "The trainer that was started ahead of time has died. Another one is started after ten seconds.",
    exit_code="the exit code; negative for a signal",
    last_words="the end of its standard error",
)

# Probes
PROBE_STARTED = LogEvent(
    "probe started",
    "info",
    "The champion is asked about the pending changes. Nothing is claimed.",
    users="pending users",
    labels="pending labels",
    version="the champion",
)
PROBE_ENDED = LogEvent(
    "probe ended",
    "info",
    "The answer of a probe is on record.",
    version="the champion",
    regret="the largest loss of a figure that decides; null where nothing can be said",
    told="the same in a sentence",
)
PROBE_FAILED = LogEvent(
    "probe failed", "warning", "A probe gave no answer. The next one waits as usual.", reason=REASON
)
VERSIONS_DELETED = LogEvent(
    "versions deleted",
    "info",
    "Old versions that nobody needs have left the registry.",
    versions="their numbers",
    freed_bytes="the bytes of their files",
)
VERSIONS_NOT_DELETED = LogEvent(
    "versions not deleted",
    "warning",
    "Old versions could not be deleted yet. They are marked as deleted in the ledger; deleting is tried again.",
    reason=REASON,
)
