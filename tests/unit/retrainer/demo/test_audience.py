"""Generated listeners are alike enough to learn from, differ enough to get wrong, and tell one story every time."""

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from retrainer.demo.audience import COLUMNS, SIMILARITY_THRESHOLD, GeneratedAudience
from retrainer.demo.waves import MIXES, Mix, Row, Wave
from schemas.features import FeatureGroup
from tests.unit.retrainer.demo.directions import directions


def similar_users(rows: dict[str, Row]) -> NDArray[np.int64]:
    """How many similar users each has."""
    whole = directions(rows)
    cosine = whole @ whole.T
    np.fill_diagonal(cosine, -1)
    similar: NDArray[np.int64] = (cosine > SIMILARITY_THRESHOLD).sum(axis=1)
    return similar


def after(rows: dict[str, Row], wave: Wave) -> dict[str, Row]:
    return {user: row for user, row in {**rows, **wave.upserts}.items() if user not in wave.deletes}


@pytest.fixture(scope="module")
def begun() -> dict[str, Row]:
    return dict(GeneratedAudience(2400).initial().upserts)


def test_rows_are_what_the_seeds_feature_group_holds(begun: dict[str, Row]) -> None:
    assert FeatureGroup().columns == COLUMNS
    for row in begun.values():
        assert {name: values.shape for name, values in row.items()} == {c.name: (c.length,) for c in COLUMNS}
        assert all(np.isfinite(values).all() and values.any() for values in row.values())
    years = np.array([row["release_year_embedding"][0] for row in begun.values()])
    assert 1990 < years.mean() < 2005  # raw years, not scaled ones
    assert years.std() > 3


def test_the_playlist_vector_is_about_a_multiple_of_the_genre_vector(begun: dict[str, Row]) -> None:
    for row in list(begun.values())[:50]:
        genre, playlist = row["genre_embedding"], row["playlist_embedding"]
        assert genre @ playlist / np.linalg.norm(genre) / np.linalg.norm(playlist) > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_most_users_have_similar_users_and_nobody_has_them_all(seed: int) -> None:
    similar = similar_users(dict(GeneratedAudience(2400, seed).initial().upserts))
    assert 5 < similar.mean() < 40
    assert (similar == 0).mean() < 0.15
    assert similar.max() < 200


def test_waves_keep_the_task_as_hard_as_it_was(begun: dict[str, Row]) -> None:
    rows = begun
    for wave in islice(GeneratedAudience(2400).waves(), 12):
        rows = after(rows, wave)
    assert 2000 < len(rows) < 2800
    assert 5 < similar_users(rows).mean() < 40


def test_the_same_seed_tells_the_same_story() -> None:
    one, other, another = (GeneratedAudience(200, seed) for seed in (7, 7, 8))
    for ours, theirs in zip(islice(one.waves(), 5), islice(other.waves(), 5), strict=True):
        assert (ours.title, ours.deletes, ours.newcomers) == (theirs.title, theirs.deletes, theirs.newcomers)
        assert ours.upserts.keys() == theirs.upserts.keys()
        for user, row in ours.upserts.items():
            assert all(np.array_equal(row[name], theirs.upserts[user][name]) for name in row)
    name = COLUMNS[0].name
    first, elsewhere = one.initial().upserts, another.initial().upserts
    assert not np.array_equal(first["listener-000001"][name], elsewhere["listener-000001"][name])


def test_waves_say_who_is_new_and_who_is_gone(begun: dict[str, Row]) -> None:
    there = set(begun)
    ever = set(begun)
    for wave in islice(GeneratedAudience(2400).waves(), 9):
        new, gone = set(wave.upserts) - there, set(wave.deletes)
        assert len(new) == wave.newcomers
        assert not new & ever  # nobody comes back under an old name
        assert gone <= there
        assert not gone & set(wave.upserts)
        assert wave.changed + wave.newcomers + len(gone) > 0
        there, ever = (there | new) - gone, ever | new


def test_a_drifting_taste_moves_but_is_not_a_new_one() -> None:
    listeners = GeneratedAudience(400)
    before = listeners.initial().upserts
    wave = listeners.change(Mix(changing=0.5))
    moved = [_cosine(before[user]["artist_embedding"], row["artist_embedding"]) for user, row in wave.upserts.items()]
    strangers = [
        _cosine(before[one]["artist_embedding"], wave.upserts[other]["artist_embedding"])
        for one, other in zip(wave.upserts, reversed(list(wave.upserts)), strict=True)
    ]
    assert np.mean(strangers) + 0.2 < np.mean(moved) < 0.9


def test_every_kind_of_change_comes_in_turn() -> None:
    waves = list(islice(GeneratedAudience(200).waves(), len(MIXES)))
    assert any(wave.changed and not wave.newcomers and not wave.deletes for wave in waves)
    assert any(wave.newcomers and not wave.changed for wave in waves)
    assert any(wave.deletes and not wave.upserts for wave in waves)
    assert any(wave.changed and wave.newcomers and wave.deletes for wave in waves)


def test_too_few_users_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 100"):
        GeneratedAudience(99)


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
