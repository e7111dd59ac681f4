"""The read step: a cycle's users as the feature store has them now, and the space that they go into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.cycle import CycleRequest, ReadReport, Step
from schemas.features import FeatureGroup
from schemas.guard import GuardReport
from schemas.manifest import SpaceInfo
from schemas.policies import SplitPolicy
from stores.feature_store import FeatureStore
from stores.features.checks import CheckedRows
from stores.features.reading import absent, read_all, read_report, read_users
from stores.label_store import LabelStore
from stores.scratch import Scratch
from trainer.guard.cycle_guard import CycleGuard
from trainer.label_intake import LabelIntake, take_in_labels
from trainer.matrix.scaling import fit_space
from trainer.matrix.split import Part, split
from trainer.opponents import LoadedVersion
from trainer.progress import Reporter
from trainer.space import Space


@dataclass(frozen=True, slots=True)
class Intake:
    """The outcome of the read step."""

    rows: CheckedRows
    gone: list[str]
    """Users to remove: deleted ones, and refused ones, which a recomputation would not have either (P3)."""
    report: ReadReport
    guard: GuardReport
    """The findings before the space is changed."""
    info: SpaceInfo
    space: Space | None
    """The space that the cycle follows; None where a new one has to be made."""
    labels: LabelIntake | None = None
    """None where there is no label group."""


def take_in(
    request: CycleRequest,
    store: FeatureStore,
    label_store: LabelStore | None,
    champion: LoadedVersion | None,
    watch: CycleGuard,
    reporter: Reporter,
) -> Intake:
    """Re-read the claimed users and labels; all of them where the cycle trains from scratch, or the champion's space is
    lost or has missed a cycle.

    Raises:
        ContractError: a store does not match its group's contract, or there are no users to learn from.
    """
    taken = _users(request, store, champion, watch, reporter)
    if label_store is None:
        return taken
    champions = champion.manifest.label_report if champion else None
    labels = take_in_labels(request, label_store, taken.space, champions, reporter)
    guard = GuardReport(findings=(*taken.guard.findings, *watch.of_labels_read(labels)))
    return replace(taken, labels=labels, guard=guard)


def _users(
    request: CycleRequest, store: FeatureStore, champion: LoadedVersion | None, watch: CycleGuard, reporter: Reporter
) -> Intake:
    settings = request.settings
    group, spaces = settings.feature_group, settings.work_dir / "spaces"
    info = None if champion is None or request.kind.from_scratch else champion.manifest.space
    space = Space.open(spaces / info.space_id, info, group, request.last_promoted_cycle) if info else None
    store.check_contract()
    of = store.count() if space is None else len(request.users)

    def tick(done: int) -> None:
        reporter.running(Step.READ, done, of)

    if space is None:
        settings.work_dir.mkdir(parents=True, exist_ok=True)
        scratch = Scratch(settings.work_dir)
        rows = read_all(store, group, {*request.users, *request.recently_learned_users}, tick, scratch)
    else:
        rows = read_users(store, group, request.users, tick)
    deleted = absent(request.users, rows)
    return Intake(
        rows=rows,
        gone=[*deleted, *rows.refused],
        report=read_report(rows, len(deleted), whole=space is None),
        guard=watch.of_reading(rows, deleted, space, store),
        info=info or _new_space(request.cycle_id, group, settings.split, rows),
        space=space,
    )


def _new_space(cycle_id: str, group: FeatureGroup, policy: SplitPolicy, rows: CheckedRows) -> SpaceInfo:
    """A new scaling, from the users who may be trained on; held-out users are only scaled by it (P5)."""
    learnable = split(policy, rows.keys) != Part.HOLDOUT
    return fit_space(cycle_id, group, rows.raw, np.flatnonzero(learnable) if learnable.any() else None)
