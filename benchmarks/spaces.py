"""A full retrain beside the version before: do its queries find their users among the earlier vectors?

The earlier model has learned nine tenths of the training users, and where outcomes are learned 85 % of the friendships.
The new one learns all of them from scratch, with another seed. The figure is the recall of the new queries among the
earlier vectors over that of the earlier queries, on the same held-out users: without a rotation, with it, and with a
rotation at random, which breaks the figure on purpose.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import generated
from benchmarks.listeners import Listeners, lastfm, placed
from benchmarks.outcomes_data import Friends, friends
from benchmarks.rows import Row, Setup, figure
from stores.feature_store import Floats
from trainer.exam.evaluate import score
from trainer.exam.outcome_exam import OutcomeExam, held_out_exam
from trainer.gate.compatibility import compatibility
from trainer.labels.outcomes import Outcomes
from trainer.learning.fit import TrainingData, fit
from trainer.learning.rotation import rotate, rotate_onto
from trainer.matrix.population import Population
from trainer.matrix.split import Part
from trainer.model import TwoTower

_GENERATED, _EMBEDDING = 4_000, 128  # users, and numbers of an embedding
_KNOWN_USERS, _KNOWN_LABELS = 0.9, 0.85  # shares that the earlier model has learned
_LEAST, _LEAST_BY_OUTCOMES = 0.9, 0.6


def compatible(setup: Setup) -> list[Row]:
    """Generated listeners and Last.fm users by similarity, Twitch streamers by outcomes.

    The towers hold all of the 100 numbers that the demo gives Last.fm users, and not all of 300: a harder row.
    """
    rows = [_by_similarity(setup, "generated", generated(setup.size(_GENERATED, 600)), 0.8)]
    if setup.lastfm is not None and not setup.quick:
        rows.append(_by_similarity(setup, "lastfm", lastfm(setup.lastfm, 100), 0.5))
        rows.append(_by_similarity(setup, "lastfm_300", lastfm(setup.lastfm, 300), 0.5))
    return [*rows, _by_outcomes(friends(setup, "twitch"))]


def _by_similarity(setup: Setup, name: str, directions: Floats, threshold: float) -> Row:
    (folder := setup.folder / name).mkdir()
    users = placed(folder, name, directions, threshold)
    earlier, new = _fitted(users, _without_some(users.population), 1), _fitted(users, users.population, 2)
    before, after, broken, told = _kept(users, earlier, new, None)
    note = f"{len(users.population.everyone):,} users; {told}; rotated at random {broken[0]:.3f}"
    peer = "without a rotation"
    return figure(
        f"spaces.compatible.{name}", after[0], "of recall", least=_LEAST, peer=peer, theirs=before[0], note=note
    )


def _by_outcomes(world: Friends) -> Row:
    """By recall@50 of held-out friendships, as the gate counts; and by recall@10 of the input cosine, too."""
    users, every = world.users, world.outcomes()
    first = world.outcomes(_drawn(len(world.edges), _KNOWN_LABELS))
    earlier = _fitted(users, _without_some(users.population), 1, first)
    new = _fitted(users, users.population, 2, every)
    about = held_out_exam(users.space.matrix.raw, every, users.population, len(world.rows), 0)
    before, after, broken, told = _kept(users, earlier, new, about)
    note = (
        f"{users.name}; {told}; recall@10 of the input cosine {after[1]:.3f}, {before[1]:.3f} without a rotation; "
        f"rotated at random {broken[0]:.3f}"
    )
    return figure(
        "spaces.compatible.twitch",
        after[0],
        "of recall",
        least=_LEAST_BY_OUTCOMES,
        peer="without a rotation",
        theirs=before[0],
        also=(f"recall@10 >= {_LEAST_BY_OUTCOMES:g}", after[1] >= _LEAST_BY_OUTCOMES),
        note=note,
    )


Kept = tuple[float, float]
"""The share of recall that an index keeps: by what decides, and by the input cosine."""


def _kept(
    users: Listeners, earlier: TwoTower, new: TwoTower, about: OutcomeExam | None
) -> tuple[Kept, Kept, Kept, str]:
    """Before the rotation, after it, and after one at random; and the recalls of both models in words."""
    exam = users.exam()
    own, mine = score(earlier, exam, about), score(new, exam, about).metrics

    def shares() -> Kept:
        reports = [compatibility(new, earlier, 1, own, exam, one, _LEAST, same_scaling=True) for one in (about, None)]
        return reports[0].kept, reports[1].kept

    before = shares()
    rotate_onto(earlier, new, exam.raw, users.population.of(Part.TRAIN))
    after, turned = shares(), score(new, exam, about).metrics
    told = "recall@50 of labels" if about is not None else "recall@10"
    recalls = [one.recall_at_10 if about is None else one.recall_at_50 or 0.0 for one in (own.metrics, mine, turned)]
    words = f"{told} {recalls[0]:.4f} of the earlier model, {recalls[1]:.4f} of the new one, {recalls[2]:.4f} rotated"
    rotate(new, np.linalg.qr(np.random.default_rng(0).normal(size=(_EMBEDDING, _EMBEDDING)))[0])
    return before, after, shares(), words


def _fitted(users: Listeners, population: Population, seed: int, outcomes: Outcomes | None = None) -> TwoTower:
    """A model trained from scratch, as a cycle does it."""
    keras.utils.set_random_seed(seed)
    model, policy = replace(users, population=population).model(), users.settings.fit
    fit(
        model,
        TrainingData.of(users.space, population, None, users.settings, seed, outcomes),
        policy,
        epochs=policy.full_epochs,
        learning_rate=policy.learning_rate,
        seed=seed,
        warm_start=False,
        on_epoch=lambda _epoch: None,
    )
    return model


def _without_some(population: Population) -> Population:
    """The population before some of its training users were there."""
    part, train = population.part.copy(), population.of(Part.TRAIN)
    part[train[~_drawn(len(train), _KNOWN_USERS)]] = Part.HOLDOUT
    return replace(population, part=part)


def _drawn(count: int, share: float) -> NDArray[np.bool_]:
    return np.random.default_rng(5).random(count) < share
