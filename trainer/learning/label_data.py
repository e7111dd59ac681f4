"""The labels of a fit: those of an epoch, and all known positive pairs. This keeps P5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.policies import FitPolicy
from stores.feature_store import Floats
from trainer.labels.outcomes import Outcomes
from trainer.labels.partners import Partners
from trainer.learning.label_validation import LabelValidation, label_validation, train_exam
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population
from trainer.matrix.split import Part

LEAST_LABELS = 32
"""Positive labels between training users that a fit needs."""


@dataclass(frozen=True, slots=True)
class LabelData:
    """Labels to learn; none has a held-out end.

    Attributes:
        new: labels between training users that no version has learned, or of changed users; from scratch all.
        learned: the other labels between training users.
        replayed: how many of those are in an epoch, drawn again for each.
        partners: every positive label between training users.
        validation: the exam on labels of dev users; None where they are too few.
    """

    new: Outcomes
    learned: Outcomes
    replayed: int
    partners: Partners
    validation: LabelValidation | None
    line: LabelValidation | None
    """The exam that scale and bias are fitted to: `validation`, or labels between training users without one."""

    @property
    def positives(self) -> int:
        """Number of positive labels in an epoch."""
        return int(self.new.positive.sum()) + self._again(self.learned.positive)

    def epoch(self, generator: np.random.Generator) -> tuple[Outcomes, Outcomes]:
        """The positive and the negative labels of one epoch; each kind has the same number in every epoch."""
        found = []
        for kind in (True, False):
            new, learned = (part.of(part.positive == kind) for part in (self.new, self.learned))
            again = np.zeros(len(learned), dtype=bool)
            again[generator.choice(len(learned), self._again(self.learned.positive == kind), replace=False)] = True
            found.append(new.and_(learned.of(again)))
        return found[0], found[1]

    def _again(self, of_kind: NDArray[np.bool_]) -> int:
        """Number of learned labels of a kind in an epoch."""
        count = int(of_kind.sum())
        return min(count, round(self.replayed * count / max(len(self.learned), 1)))

    @staticmethod
    def of(
        outcomes: Outcomes,
        directions: Floats,
        population: Population,
        changed: Rows | None,
        policy: FitPolicy,
        seed: int,
    ) -> LabelData:
        """All labels where `changed` is None; else changed labels, labels of `changed` rows, and a replay share."""
        outcomes = outcomes.of(outcomes.part != Part.HOLDOUT)
        train = outcomes.in_part(Part.TRAIN)
        partners = Partners(train.pairs[train.positive], len(directions), directed=outcomes.directed)
        new = np.ones(len(train), dtype=bool)
        replayed = 0
        if changed is not None:
            new = train.changed | np.isin(train.pairs, changed).any(axis=1)
            wanted = max(int(new.sum() * policy.label_replay), policy.min_replay_labels)
            replayed = min(wanted, len(train) - int(new.sum())) if new.any() else 0
        validation = label_validation(directions, outcomes, population, policy, seed)
        return LabelData(
            new=train.of(new),
            learned=train.of(~new),
            replayed=replayed,
            partners=partners,
            validation=validation,
            line=validation or train_exam(directions, outcomes, population, policy, seed),
        )
