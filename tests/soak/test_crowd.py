"""The crowd of a soak: it changes, and is on the whole always the same."""

from __future__ import annotations

from tests.soak.crowd import Crowd


def test_a_crowd_changes_and_stays_as_large_as_it_is() -> None:
    crowd = Crowd(100, seed=1)
    there = dict(crowd.initial().upserts)
    ever = set(there)
    for _ in range(60):
        wave = crowd.wave(changing=5, coming=2)
        assert len(wave.upserts) == 7
        assert len(wave.deletes) == 2
        assert not set(wave.deletes) & set(wave.upserts)
        drifting = set(wave.upserts) & set(there)
        assert len(drifting) == 5
        assert all(wave.upserts[user] is not there[user] for user in drifting)
        there = {user: row for user, row in {**there, **wave.upserts}.items() if user not in wave.deletes}
        ever |= set(there)
        assert len(there) == 100
    assert len(ever) == 104


def test_the_same_seed_tells_the_same_story() -> None:
    one, other = Crowd(100, seed=1), Crowd(100, seed=1)
    assert list(one.wave(5, 2).upserts) == list(other.wave(5, 2).upserts)
