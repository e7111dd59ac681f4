"""What a trainer is asked for: the request of a claimed cycle."""

from __future__ import annotations

from consumer.cycles.trigger import Reason
from consumer.ledger.cycles import Claim
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind, CycleRequest
from schemas.reports import VersionFigures

_VERSIONS_TOLD = 50
_BY_THRESHOLD = {Reason.COUNT, Reason.SHARE, Reason.LABEL_COUNT, Reason.LABEL_SHARE, Reason.STALENESS, Reason.FRESHNESS}


def cycle_request(
    settings: Settings, ledger: Ledger, claim: Claim, *, fence: int, now: float, lookup_only: bool
) -> CycleRequest:
    """The request for the cycle of `claim`.

    Args:
        settings: what the trainer works with.
        ledger: which knows what was learned in the last days.
        claim: the cycle.
        fence: the token of our lease.
        now: seconds since the epoch.
        lookup_only: whether the trainer only asks the registry for a version of the cycle.
    """
    lags = _store_may_lag(settings)
    return CycleRequest(
        cycle_id=claim.cycle_id,
        kind=claim.kind,
        reason=claim.reason,
        base_version=claim.base_version,
        baseline_version=claim.baseline_version,
        best_since=claim.best_since,
        accept=claim.accept,
        users=claim.users,
        labels=claim.labels,
        last_promoted_cycle=claim.last_promoted_cycle,
        fence=fence,
        min_version_exclusive=claim.min_version_exclusive,
        lookup_only=lookup_only,
        settle_below=_settle_below(settings, claim),
        recently_learned_users=ledger.cycles.recently_learned_users(now) if lags else (),
        recently_learned_labels=ledger.cycles.recently_learned_labels(now) if lags else (),
        earlier_versions=() if lookup_only or not settings.reports.keep else _earlier_versions(ledger),
        lineage=claim.lineage,
        settings=settings.for_trainer(),
    )


def _earlier_versions(ledger: Ledger) -> tuple[VersionFigures, ...]:
    """The figures of the last versions; of those only that have some on record."""
    figures = VersionFigures.model_fields.keys() - {"version", "registered_at", "kind"}
    return tuple(
        VersionFigures(
            version=one["version"],
            registered_at=one["registered_at"],
            kind=one["kind"],
            **{name: one["metrics"][name] for name in figures},
        )
        for one in ledger.views.versions(_VERSIONS_TOLD)
        if one["metrics"] is not None
    )


def _store_may_lag(settings: Settings) -> bool:
    """Whether cycles that read every user read a copy that may be behind."""
    return settings.feature_store.kind == "hopsworks"


def _settle_below(settings: Settings, claim: Claim) -> float | None:
    """A cycle that a threshold has started may be settled without a fit; one for an operator or for regret may not."""
    policy = settings.trigger
    by_threshold = claim.kind is CycleKind.INCREMENTAL and claim.reason in _BY_THRESHOLD
    return policy.regret if policy.settle_unchanged and by_threshold else None
