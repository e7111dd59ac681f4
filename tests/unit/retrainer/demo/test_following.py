"""Generated listeners follow each other by something that their features show only in part, and that can be learned."""

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from retrainer.demo.audience import STORY, GeneratedAudience
from retrainer.demo.following import People, attraction, new_follows
from retrainer.demo.waves import Mix
from schemas.labels import PairKey
from schemas.policies import SplitPolicy
from tests.unit.retrainer.demo.directions import Doubles, directions
from trainer.matrix.split import Part, split


def learned(inputs: Doubles, pairs: NDArray[np.int64]) -> Doubles:
    """A linear space in which those who follow each other are near: their cross-covariance, whitened."""
    centred = inputs - inputs.mean(axis=0)
    spread, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    white = centred @ axes / np.sqrt(spread + 1e-3)
    across = white[pairs[:, 0]].T @ white[pairs[:, 1]] / len(pairs)
    strength, ways = np.linalg.eigh((across + across.T) / 2)
    found = white @ ways[:, -64:] * np.sqrt(np.maximum(strength[-64:], 0))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def strangers(pairs: NDArray[np.int64], users: int) -> NDArray[np.int64]:
    """For the second of each pair somebody who is about as popular."""
    order = np.argsort(np.bincount(pairs.ravel(), minlength=users), kind="stable")
    rank = np.argsort(order)[pairs[:, 1]]
    return np.asarray(order[np.clip(rank + np.random.default_rng(0).integers(-20, 21, len(rank)), 0, users - 1)])


def auc(space: Doubles, pairs: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    asked = space[pairs[:, 0]]
    cosines = [(asked * space[found]).sum(axis=1) for found in (pairs[:, 1], others)]
    return float(roc_auc_score(np.repeat([1, 0], len(pairs)), np.concatenate(cosines)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_follows_can_be_learned_far_better_than_the_input_cosine_tells_them(seed: int) -> None:
    listeners = GeneratedAudience(2400, seed, following=True)
    wave = listeners.initial()
    follows: list[PairKey] = [*wave.follows, *listeners.change(Mix(following=2.5)).follows]
    row_of = {user: row for row, user in enumerate(wave.upserts)}
    pairs = np.array([(row_of[one], row_of[other]) for one, other in follows])
    held_out = split(SplitPolicy(), list(row_of)) == Part.HOLDOUT
    inputs = directions(dict(wave.upserts))
    test = held_out[pairs].any(axis=1)
    space, others = learned(inputs, pairs[~test]), strangers(pairs, len(inputs))
    assert 0.6 < auc(inputs, pairs[test], others[test]) < 0.7
    assert 0.75 < auc(space, pairs[test], others[test]) < 0.9


def test_rows_have_more_independent_numbers_than_a_tower() -> None:
    inputs = directions(dict(GeneratedAudience(1000, following=True).initial().upserts))
    spread = np.linalg.eigvalsh(np.cov(inputs.T))[::-1]
    assert spread[150] > 1e-3 * spread[0]
    assert spread[128:].sum() > 0.01 * spread.sum()


def test_new_genres_are_hardly_heard_before_they_come() -> None:
    listeners = GeneratedAudience(600, following=True)
    before = listeners.initial().upserts
    wave = listeners.change(Mix(joining=0.2, new_genres=True))
    assert wave.newcomers == len(wave.upserts) == 120
    old, new = (np.stack([row["genre_embedding"] for row in rows.values()]) for rows in (before, wave.upserts))
    _, _, axes = np.linalg.svd(old, full_matrices=False)
    kept = axes[:28]  # as many as there are genres that everybody knows
    assert np.square(old @ kept.T).sum() > 0.97 * np.square(old).sum()
    assert np.square(new @ kept.T).sum() < 0.7 * np.square(new).sum()


def test_waves_say_who_follows_whom_and_what_ends() -> None:
    listeners = GeneratedAudience(300, following=True)
    begin = listeners.initial()
    there, follows = set(begin.upserts), set(begin.follows)
    assert len(follows) == len(begin.follows) >= 300  # everybody who joins follows somebody
    for wave in islice(listeners.waves(), 2 * len(STORY)):
        there = (there | set(wave.upserts)) - set(wave.deletes)
        assert set(wave.unfollows) == {pair for pair in follows if set(pair) & set(wave.deletes)}
        follows -= set(wave.unfollows)
        assert len(set(wave.follows)) == len(wave.follows)
        assert not set(wave.follows) & follows
        follows |= set(wave.follows)
        assert all(one != other and {one, other} <= there for one, other in wave.follows)


def test_the_same_seed_tells_the_same_story_and_without_follows_there_are_none() -> None:
    one, other = (GeneratedAudience(200, 7, following=True) for _ in range(2))
    assert one.initial().follows == other.initial().follows
    for ours, theirs in zip(islice(one.waves(), 4), islice(other.waves(), 4), strict=True):
        assert (ours.title, ours.follows, ours.unfollows) == (theirs.title, theirs.follows, theirs.unfollows)
    alone = GeneratedAudience(200, 7)
    assert not alone.initial().follows
    assert not any(wave.follows or wave.unfollows for wave in islice(alone.waves(), 4))


def some_people(count: int) -> People:
    draw = np.random.default_rng(0)
    return People(
        draw.dirichlet(np.ones(4), count), draw.dirichlet(np.ones(5), count), np.full(count, 2000.0), np.zeros(count)
    )


def test_people_choose_others_and_stop_when_nobody_is_left() -> None:
    people, everybody = some_people(6), np.arange(6)
    chosen = new_follows(people, everybody, np.full(6, 9), [(0, 1), (0, 2)], np.random.default_rng(1))
    assert {other for one, other in chosen if one == 0} == {3, 4, 5}
    assert len(chosen) == len(set(chosen)) == 3 + 5 * 5


def test_scenes_attract_most() -> None:
    scenes, tastes = np.eye(2)[[0, 0, 1]], np.eye(2)[[0, 1, 0]]
    people = People(scenes, tastes, np.full(3, 2000.0), np.array([0.0, 0.0, 1.0]))
    drawn = attraction(people, people)
    assert drawn[0, 1] > drawn[0, 2]  # the same scene rather than the same genre, though less popular
    assert drawn[0, 2] > drawn[1, 2]  # the same genre rather than nothing
