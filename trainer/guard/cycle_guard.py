"""The guard of one cycle: its findings before the embedding space is changed, and after.

Refused, lost and moved users are known once the users are read, so a cycle held for them leaves the space unchanged.
Pairs, columns and axes can only be judged in the space, which keeps the rows, as the store does. In both cases figures
are compared with the state after the last settled cycle, never with an earlier try: damage that is already in the space
counts at every try.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from schemas.cycle import CycleRequest, PairReport
from schemas.guard import Finding, GuardName, GuardReport
from schemas.policies import Objective
from stores.feature_store import FeatureStore
from stores.features.checks import CheckedRows
from stores.features.reading import read_users
from trainer.guard.guard import Guard
from trainer.guard.measures import labels_kept, losses, moved, sample_unclaimed, scaled_alike, similar_share, some
from trainer.label_intake import LabelIntake
from trainer.matrix.departures import departed
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import populate
from trainer.matrix.scaling import fit_space, scalar_drift, to_directions
from trainer.matrix.split import Part
from trainer.opponents import LoadedVersion
from trainer.space import Space, mining_rule


class CycleGuard:
    """The guard of one cycle."""

    def __init__(self, request: CycleRequest, champion: LoadedVersion | None, seed: int) -> None:
        self._request = request
        self._settings = request.settings
        self._champion = champion
        self._seed = seed
        self._guard = Guard(request.settings.guard, request.accept)
        self._follows = not request.kind.from_scratch

    @property
    def since(self) -> str:
        """The last settled cycle; the state after it is the state before this cycle."""
        return self._request.last_promoted_cycle or (self._champion.manifest.cycle_id if self._champion else "")

    def of_reading(
        self, rows: CheckedRows, deleted: list[str], space: Space | None, store: FeatureStore
    ) -> GuardReport:
        """The findings before the space is changed.

        Args:
            rows: the users read.
            deleted: claimed users that the store does not have.
            space: the space that the cycle follows, as it was; None where all users were read.
            store: a sample of unclaimed users is read again from it.
        """
        findings = [self._guard.refused(len(rows.keys), rows.refused, rows.keyless)]
        if self._champion is not None:
            findings += self._losses(self._champion, rows, deleted, space)
            if rows.keys:
                columns = scalar_drift(self._champion.manifest.space, self._settings.feature_group, rows.raw)
                clipped = {name: column.clipped for name, column in columns.items()}
                findings += [self._guard.outliers(clipped, len(rows.keys))] if clipped else []
        if space is not None:
            findings += self._moved(space, store)
        return GuardReport(findings=tuple(findings))

    def of_labels_read(self, intake: LabelIntake) -> tuple[Finding, ...]:
        """The findings about pair labels before the book is changed."""
        findings = [self._guard.refused_labels(len(intake.labels.pairs), intake.labels.refused, intake.labels.keyless)]
        if self._champion is not None:
            findings.append(self._guard.lost_labels(intake.lost, intake.known))
        return tuple(findings)

    def of_space(self, space: Space, pairs: PairReport, earlier: GuardReport) -> GuardReport:
        """All findings: the `earlier` ones, and those in the space with all changes and pairs."""
        directed = np.flatnonzero(space.matrix.directions.any(axis=1))
        threshold = self._settings.pairs.similarity_threshold
        share = similar_share(space.matrix.directions, directed, threshold, self._seed)
        learned = self._settings.fit.objective is not Objective.OUTCOMES
        findings = [*earlier.findings, self._guard.similar(share, len(directed), pairs.after, learned=learned)]
        if self._champion is None:
            return GuardReport(findings=tuple(findings))
        raw = space.matrix.raw[some(directed, self._seed)]
        columns = scalar_drift(self._champion.manifest.space, self._settings.feature_group, raw)
        means = {name: column.mean_z for name, column in columns.items()}
        drifting = self._settings.guard.drifting_z
        comparable = self._follows or scaled_alike(self._champion.manifest.space, space.info, drifting)
        before = self._pairs_before(self._champion, space) if comparable else None
        if before:
            findings.append(self._guard.lost_pairs(before, pairs.after, earlier.findings))
        if means:
            findings.append(self._guard.mean_z(means, len(directed), earlier.findings))
        now, then = space.outside_after(self._request.cycle_id), space.outside_after(self.since)
        if now is not None and then is not None:  # a new space has only the first of the two
            findings.append(self._guard.outside(now, then, len(directed)))
        report = GuardReport(findings=tuple(findings))
        # Drift may make all users alike; for any other hold a person has to look first.
        drifts = self._follows and {one.name for one in report.holding} <= {GuardName.SIMILAR_SHARE}
        asks = self._guard.drifting(means, self._labels_kept(space, directed)) if drifts and means else None
        return report.model_copy(update={"asks_full": asks})

    def _labels_kept(self, space: Space, directed: Rows) -> float:
        """Jaccard index of the labels by the frozen scaling and by one fitted today to users in training (P5)."""
        group, policy = self._settings.feature_group, self._settings
        learnable = populate(space.matrix, policy.split).part[directed] != Part.HOLDOUT
        fitted = fit_space("today", group, space.matrix.raw, directed[learnable] if learnable.any() else directed)
        rows = some(directed, self._seed)
        today = to_directions(fitted, group, np.asarray(space.matrix.raw[rows]))
        return labels_kept(np.asarray(space.matrix.directions[rows]), today, policy.pairs.similarity_threshold)

    def of_labels(self, earlier: GuardReport, kept: float | None, pairs: PairReport) -> GuardReport:
        """All findings, and how far a new scaling moves the labels; `kept` is None where the scaling is the same."""
        if kept is None:
            return earlier
        finding = self._guard.labels_moved(kept, pairs.after, earlier.findings)
        return earlier.model_copy(update={"findings": (*earlier.findings, finding)})

    def _losses(
        self, champion: LoadedVersion, rows: CheckedRows, deleted: list[str], space: Space | None
    ) -> list[Finding]:
        """Deleted and lost users among those known before; by number alone where the earlier users are not known."""
        present = set(rows.keys)
        if space is not None:
            known = set(space.matrix.users()[0])
            present |= known.difference(deleted, rows.refused)
        elif (before := self._champions_space(champion)) is not None:
            with closing(before):
                known = set(before.matrix.users()[0])
        else:
            users = champion.manifest.pair_report.users
            return [self._guard.lost(max(0, users - len(present)), users)]
        known |= departed(self._folder(champion), self.since)
        gone, lost = losses(known, present, rows.refused)
        return [self._guard.deleted(gone, len(known)), self._guard.lost(lost, len(known))]

    def _moved(self, space: Space, store: FeatureStore) -> list[Finding]:
        """Unclaimed users, read again. Their rows are not taken in: that is for the events that name them."""
        sample = sample_unclaimed(space.matrix, self._request.users, self._settings.guard.sample, self._seed)
        if not sample:
            return []
        found = moved(space.matrix, sample, read_users(store, self._settings.feature_group, sample, lambda _done: None))
        return [self._guard.moved(found.differing, found.gone, found.refused, found.sampled)]

    def _pairs_before(self, champion: LoadedVersion, space: Space) -> int | None:
        """Similar pairs after the last settled cycle, by its space or the champion; None if mined by another policy."""
        policy = self._settings.pairs
        if self._follows:
            counted = space.pairs_after(self.since, policy)
        elif (before := self._champions_space(champion)) is not None:
            with closing(before):
                counted = before.pairs_after(self.since, policy)
        else:
            counted = None
        if counted is None and mining_rule(champion.manifest.pairs) == mining_rule(policy):
            return champion.manifest.pair_report.after
        return counted

    def _champions_space(self, champion: LoadedVersion) -> Space | None:
        """The champion's space where a cycle trains from scratch; None where it is missing, or has missed a cycle."""
        if self._follows:
            return None
        info, group = champion.manifest.space, self._settings.feature_group
        return Space.open(self._folder(champion), info, group, self._request.last_promoted_cycle)

    def _folder(self, champion: LoadedVersion) -> Path:
        return self._settings.work_dir / "spaces" / champion.manifest.space.space_id
