"""What a fit may see of pair labels: those that it goes through, and who is known to like whom. P5 is kept here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.policies import FitPolicy
from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.labels.dev import LabelDev, label_dev, train_exam
from trainer.labels.outcomes import Outcomes
from trainer.labels.partners import Partners
from trainer.population import Population
from trainer.split import Part

LEAST_LABELS = 32
"""Positive labels between training users; of fewer nothing is learned."""


@dataclass(frozen=True, slots=True)
class LabelData:
    """Labels to learn from, none of which touches a held-out user.

    Attributes:
        positives: labels between training users that an epoch goes through.
        negatives: the same of those that say not similar.
        fresh, replayed: how many of both no version has learned yet, or are of users who changed; and how many have.
        partners: every positive label between training users.
        dev: what is asked about the dev users' labels; None where they are too few to tell anything.
    """

    positives: Outcomes
    negatives: Outcomes
    fresh: int
    replayed: int
    partners: Partners
    dev: LabelDev | None
    line: LabelDev | None
    """What scale and bias are drawn by: the same, or labels between training users where there are no others."""

    @property
    def users(self) -> int:
        """How many users labels are learned of."""
        return len(np.unique(np.concatenate([self.positives.pairs, self.negatives.pairs])))

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
        fresh = np.ones(len(train), dtype=bool)
        replayed = 0
        chosen = train
        if changed is not None:
            fresh = train.changed | np.isin(train.pairs, changed).any(axis=1)
            others = np.flatnonzero(~fresh)
            wanted = max(int(fresh.sum() * policy.label_replay), policy.min_replay_users)
            replayed = min(wanted, len(others)) if fresh.any() else 0
            generator = np.random.default_rng(seed)
            again = generator.choice(others, replayed, replace=False)
            chosen = train.of(np.sort(np.concatenate([np.flatnonzero(fresh), again])))
        dev = label_dev(directions, outcomes, population, policy, seed)
        return LabelData(
            positives=chosen.of(chosen.positive),
            negatives=chosen.of(~chosen.positive),
            fresh=int(fresh.sum()),
            replayed=replayed,
            partners=partners,
            dev=dev,
            line=dev or train_exam(directions, outcomes, population, policy, seed),
        )
