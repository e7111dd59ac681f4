"""The exam by outcomes: questions for all models of a cycle about labels that none of them has learned.

Each positive label gives two questions about one of its users. Is the other user likelier than a stranger? Is the other
user among the nearest of all users? A stranger is about as popular as the other user; else a model that knows
popularity alone would look good (Aiyappa et al. 2024, Implicit degree bias in the link prediction task). Strangers are
drawn near the other user in the order by number of positive labels. Explicit negative labels count as strangers.

A directed label is asked about the user who made it. A label without direction is asked about its held-out end; where
both ends are held out, about a random one, because a label is one observation and not two.
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
    """The questions of one exam.

    Attributes:
        raw: (capacity, width) raw rows of the user matrix, the input of models.
        corpus: every row with a direction, in order.
        asked: (users,) rows of the asked users, in order.
        pairs: (pairs, 2) rows, the asked user first.
        user: (pairs,) position of the asked user in `asked`.
        positive: (pairs,) whether the pair is a positive label, each once; else a stranger or a negative label.
        earlier: (pairs,) whether the label was known before the cycle; for a stranger, the label it is matched with.
        weight: (pairs,) weight of each; a stranger has that of the label it is matched with.
        known: (known, 2) other positives, as positions in `asked` and `corpus`: they are left out of rankings, since a
            model may have learned them.
        nearest: number of neighbours that are asked for: fifty, or all others in a small corpus.
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
        """Number of positive labels in the exam."""
        return int(self.positive.sum())


def held_out_exam(
    raw: Floats, outcomes: Outcomes, population: Population, most_users: int, seed: int
) -> OutcomeExam | None:
    """The exam on held-out labels; None without a positive one. Arguments as in `outcome_exam`."""
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
        outcomes: every known label: a user's known partners are never their strangers.
        about: (labels,) which of them the exam is about.
        may_be_asked: (capacity,) which users may be asked, where labels have no direction.
        corpus: rows of everybody with a direction, in order.
        most_users: number of asked users at most; of more a sample is drawn.
        seed: of all draws.
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
    """Why an exam is too small to judge; None where it is large enough."""
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
    """(n, 2) rows of some labels; labels without direction in both orders."""
    pairs = outcomes.pairs[which]
    return pairs if outcomes.directed else np.concatenate([pairs, pairs[:, ::-1]])
