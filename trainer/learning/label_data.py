"""What a fit may see of pair labels: those that it goes through, and who is known to like whom. P5 is kept here."""

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
"""Positive labels between training users; of fewer nothing is learned."""


@dataclass(frozen=True, slots=True)
class LabelData:
    """Labels to learn from, none of which touches a held-out user.

    Attributes:
        new: labels between training users that no version has learned yet, or of users who changed; from scratch all.
        learned: the others of training users.
        replayed: how many of those an epoch goes through; other ones in each.
        partners: every positive label between training users.
        validation: what is asked about the dev users' labels; None where they are too few to tell anything.
    """

    new: Outcomes
    learned: Outcomes
    replayed: int
    partners: Partners
    validation: LabelValidation | None
    line: LabelValidation | None
    """What scale and bias are drawn by: the same, or labels between training users where there are no others."""

    @property
    def positives(self) -> int:
        """How many positive labels an epoch goes through."""
        return int(self.new.positive.sum()) + self._again(self.learned.positive)

    def epoch(self, generator: np.random.Generator) -> tuple[Outcomes, Outcomes]:
        """The positive labels of one epoch and the negative ones; those of each kind are as many in every epoch."""
        found = []
        for kind in (True, False):
            new, learned = (part.of(part.positive == kind) for part in (self.new, self.learned))
            again = np.zeros(len(learned), dtype=bool)
            again[generator.choice(len(learned), self._again(self.learned.positive == kind), replace=False)] = True
            found.append(new.and_(learned.of(again)))
        return found[0], found[1]

    def _again(self, of_kind: NDArray[np.bool_]) -> int:
        """How many learned labels of a kind an epoch goes through."""
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
        """All labels where `changed` is None; else those that changed, those of `changed` rows, and a replay share."""
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
