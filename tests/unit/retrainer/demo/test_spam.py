"""Spam is one wave of follows of the same few users, and is gone with the next."""

from collections.abc import Iterator
from itertools import islice

import pytest

from retrainer.demo.audience import GeneratedAudience
from retrainer.demo.spam import WithSpam
from retrainer.demo.upstream_bug import WithUpstreamBug
from retrainer.demo.waves import Wave
from schemas.labels import PairKey


def after(waves: list[Wave]) -> tuple[set[str], set[PairKey]]:
    users: set[str] = set()
    follows: set[PairKey] = set()
    for wave in waves:
        users = (users | set(wave.upserts)) - set(wave.deletes)
        follows = (follows - set(wave.unfollows)) | set(wave.follows)
    return users, follows


@pytest.mark.parametrize("wave", [1, 3])
def test_bots_follow_those_who_pay_and_their_follows_go_again(wave: int) -> None:
    plain = GeneratedAudience(300, following=True)
    source = WithSpam(GeneratedAudience(300, following=True), wave)
    waves = [source.initial(), *islice(source.waves(), 5)]
    users, follows = after(waves[:wave])
    spam, found = waves[wave : wave + 2]
    assert not spam.upserts
    assert not spam.deletes
    assert 200 < len(spam.follows) <= 300
    assert not set(spam.follows) & follows
    assert all(one != other and {one, other} <= users for one, other in spam.follows)
    assert len({other for _, other in spam.follows}) == 4
    assert set(found.unfollows) >= set(spam.follows) - set(found.follows)
    assert not set(found.unfollows) & set(found.follows)  # or the wave would be one label short
    assert found.follows  # what the source goes on with
    assert after(waves) == after([plain.initial(), *islice(plain.waves(), 4)])  # nothing is left behind


def test_the_same_seed_has_the_same_spam() -> None:
    def spam(seed: int) -> tuple[PairKey, ...]:
        source = WithSpam(GeneratedAudience(200, following=True), 1, seed)
        return next(source.waves()).follows

    assert spam(3) == spam(3) != spam(4)


def test_where_nobody_follows_anybody_or_the_waves_end_there_is_no_spam() -> None:
    titles = [wave.title for wave in islice(WithSpam(GeneratedAudience(200), 2).waves(), 4)]
    assert titles == [wave.title for wave in islice(GeneratedAudience(200).waves(), 4)]

    class OneWave(GeneratedAudience):
        def waves(self) -> Iterator[Wave]:
            return islice(super().waves(), 1)

    assert len(list(WithSpam(OneWave(200, following=True), 3).waves())) == 1
    with pytest.raises(ValueError, match="wave must be at least 1, got 0"):
        WithSpam(GeneratedAudience(200), 0)


def test_a_bug_before_it_leaves_the_follows_alone() -> None:
    source = WithSpam(WithUpstreamBug(GeneratedAudience(200, following=True), 2), 4)
    waves = [source.initial(), *islice(source.waves(), 5)]
    assert [bool(wave.follows) for wave in waves] == [True, True, False, False, True, True]
    assert set(waves[4].follows) <= {*waves[5].unfollows, *waves[5].follows}
