"""The exam by outcomes: what all models of a cycle are asked about labels that none of them has learned.

Each positive label is asked of one of its users: who of two, the other user or a stranger, is the likelier one? And is
the other user among the nearest of everybody? Strangers are as popular as the user whose place they take, or a model
that knows nothing but who is popular would look good (Aiyappa et al. 2024, Implicit degree bias in the link prediction
task). They are drawn among the nearest in the order of positive labels. Explicit negative labels count as strangers do.

Where labels are directed they are asked of the user who made them. Where not, of the end that is held out; of either,
drawn, where both are, as a label is one witness and no two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.policies import GatePolicy
from stores.feature_store import Floats
from trainer.labels.outcomes import Outcomes
from trainer.labels.strangers import draw_strangers
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population
from trainer.matrix.split import Part

NEAREST = 50


@dataclass(frozen=True, slots=True)
class OutcomeExam:
    """What models are scored on.

    Attributes:
        raw: (capacity, width) raw rows of the user matrix, which models are given.
        corpus: every row with a direction, in order.
        asked: (users,) rows of the users who are asked, in order.
        pairs: (pairs, 2) rows, the asked user first.
        user: (pairs,) where in `asked` the asked user is.
        positive: (pairs,) whether the pair is a positive label, each once; else a stranger or a negative label.
        earlier: (pairs,) whether the label was known before the cycle; of a stranger, the one that it is matched with.
        weight: (pairs,) how much each counts; a stranger as much as the label it is matched with.
        known: (known, 2) positives that are not asked about, as places in `asked` and `corpus`: they are in nobody's
            ranking, as a model may have learned them.
        nearest: how many users are asked for: fifty, or all others in a small corpus.
    """

    raw: Floats
    corpus: Rows
    asked: Rows
    pairs: Rows
    user: Rows
    positive: NDArray[np.bool_]
    earlier: NDArray[np.bool_]
    weight: NDArray[np.float64]
    known: Rows
    nearest: int

    @property
    def labels(self) -> int:
        """Positive labels that are asked about."""
        return int(self.positive.sum())


def held_out_exam(
    raw: Floats, outcomes: Outcomes, population: Population, most_users: int, seed: int
) -> OutcomeExam | None:
    """The exam on held-out labels; None without a positive one. Arguments as of `outcome_exam`."""
    about = outcomes.part == Part.HOLDOUT
    if not (about & outcomes.positive).any():
        return None
    held = population.part == Part.HOLDOUT
    return outcome_exam(raw, outcomes, about, held, population.everyone, most_users, seed)


def outcome_exam(
    raw: Floats,
    outcomes: Outcomes,
    about: NDArray[np.bool_],
    may_be_asked: NDArray[np.bool_],
    corpus: Rows,
    most_users: int,
    seed: int,
) -> OutcomeExam:
    """An exam on some labels.

    Args:
        raw: (capacity, width) the user matrix.
        outcomes: every label that is known: nobody's stranger is somebody whom he is known to like.
        about: (labels,) which of them are asked about.
        may_be_asked: (capacity,) who is asked, where labels are not directed and either end could be.
        corpus: rows of everybody with a direction, in order.
        most_users: who are asked; of more so many are drawn.
        seed: of what is drawn.
    """
    generator = np.random.default_rng(seed)
    label, ends = _ends(outcomes, about, may_be_asked, generator)
    users = np.unique(ends[:, 0])
    if len(users) > most_users:
        users = np.sort(generator.choice(users, most_users, replace=False))
        some = np.isin(ends[:, 0], users)
        label, ends = label[some], ends[some]
    positive = outcomes.positive[label]
    liked = _both_ways(outcomes, outcomes.positive)
    matched, strangers = draw_strangers(ends[positive], liked, len(raw), corpus, generator)
    weight, earlier = outcomes.weight[label].astype(np.float64), ~outcomes.changed[label]
    pairs = np.concatenate([ends[positive], ends[~positive], strangers])
    known = _both_ways(outcomes, outcomes.positive & ~about)
    known = known[np.isin(known[:, 0], users)]
    return OutcomeExam(
        raw=raw,
        corpus=corpus,
        asked=users,
        pairs=pairs,
        user=np.searchsorted(users, pairs[:, 0]),
        positive=np.arange(len(pairs)) < positive.sum(),
        earlier=np.concatenate([earlier[positive], earlier[~positive], earlier[positive][matched]]),
        weight=np.concatenate([weight[positive], weight[~positive], weight[positive][matched]]),
        known=np.stack([np.searchsorted(users, known[:, 0]), np.searchsorted(corpus, known[:, 1])], axis=1),
        nearest=max(0, min(NEAREST, len(corpus) - 1)),
    )


def lacking(exam: OutcomeExam | None, policy: GatePolicy) -> str | None:
    """Why an exam is too small to judge by; None where it can tell."""
    labels = 0 if exam is None else exam.labels
    users = 0 if exam is None else len(np.unique(exam.user[exam.positive]))
    if labels >= policy.min_labels and users >= policy.min_users:
        return None
    return (
        f"{labels} positive labels of {users} users are held out; to judge by outcomes takes {policy.min_labels} "
        f"labels (RETRAINER_GATE__MIN_LABELS) of {policy.min_users} users (RETRAINER_GATE__MIN_USERS)"
    )


def _ends(
    outcomes: Outcomes, about: NDArray[np.bool_], may_be_asked: NDArray[np.bool_], generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """(asked,) the label of each question, and (asked, 2) its rows, the asked user first."""
    label = np.flatnonzero(about)
    pairs = outcomes.pairs[label]
    if outcomes.directed:
        return label, pairs
    one, other = may_be_asked[pairs].T
    turned = other & ~(one & (generator.random(len(pairs)) < 0.5))
    some = one | other
    return label[some], np.where(turned[:, None], pairs[:, ::-1], pairs)[some]


def _both_ways(outcomes: Outcomes, which: NDArray[np.bool_]) -> Rows:
    """(n, 2) rows of some labels; where they are not directed, also with the ends changed over."""
    pairs = outcomes.pairs[which]
    return pairs if outcomes.directed else np.concatenate([pairs, pairs[:, ::-1]])
