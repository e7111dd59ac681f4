"""The upstream bug spoils one column of some users for one wave, and leaves nothing behind."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrainer.demo.audience import MIN_USERS, GeneratedAudience
from retrainer.demo.simulator import Simulator
from retrainer.demo.upstream_bug import WithUpstreamBug
from retrainer.demo.waves import Row, Wave
from schemas.features import Column

COLUMNS = (Column(name="taste", length=2), Column(name="year", length=1))


def row(value: float) -> Row:
    return {"taste": np.full(2, value, dtype=np.float32), "year": np.full(1, value, dtype=np.float32)}


class Audience:
    """Forty users; in every wave some change, one comes and one goes, who may be the one who came."""

    columns = COLUMNS
    name = "forty users"

    def __init__(self, waves: int = 4) -> None:
        self._waves = waves

    def initial(self) -> Wave:
        return Wave("40 users", {f"u{user}": row(user) for user in range(40)}, newcomers=40)

    def waves(self) -> Iterator[Wave]:
        for wave in range(1, self._waves + 1):
            changed = {f"u{user}": row(100 * wave + user) for user in range(10 * wave, 10 * wave + 5) if user < 40}
            gone = "u0" if wave == 1 else f"n{wave - 1}"
            yield Wave(f"wave {wave}", {**changed, f"n{wave}": row(1000 + wave)}, (gone,), newcomers=1)


class Memory:
    """A store and a relay."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def commit(self, upserts: Mapping[str, Row], deletes: Iterable[str] = ()) -> None:
        self.rows = {user: found for user, found in {**self.rows, **upserts}.items() if user not in deletes}

    def count(self) -> int:
        return len(self.rows)

    def publish(self) -> int:
        return 0


def alike(one: dict[str, Row], other: dict[str, Row]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[user][column.name], other[user][column.name], equal_nan=True)
        for user in one
        for column in COLUMNS
    )


def after(waves: list[Wave]) -> dict[str, Row]:
    store = Memory()
    for wave in waves:
        store.commit(wave.upserts, wave.deletes)
    return store.rows


@given(st.integers(1, 4), st.integers(0, 5))
def test_it_spoils_one_column_of_a_quarter_and_brings_the_rows_back_as_they_were(wave: int, seed: int) -> None:
    plain, source = Audience(), WithUpstreamBug(Audience(), wave, seed)
    begun = source.initial()
    waves = list(source.waves())
    before = after([begun, *waves[: wave - 1]])
    spoilt, mended = waves[wave - 1 : wave + 1]
    assert [one.title for one in waves if one not in (spoilt, mended)] == [one.title for one in plain.waves()]
    assert set(spoilt.upserts) == set(mended.upserts) <= set(before)
    assert len(spoilt.upserts) == 10
    assert (spoilt.newcomers, spoilt.deletes, mended.newcomers, mended.deletes) == (0, (), 0, ())
    for user, found in spoilt.upserts.items():
        assert np.array_equal(np.isnan(found["taste"]), [True, False])
        assert np.array_equal(found["year"], before[user]["year"])
    assert alike(after([begun, *waves[: wave + 1]]), before)
    assert alike(after([begun, *waves]), after([plain.initial(), *plain.waves()]))


def test_a_source_that_ends_before_it_has_no_bug() -> None:
    titles = [wave.title for wave in WithUpstreamBug(Audience(waves=1), wave=3).waves()]
    assert titles == ["wave 1"]
    assert len(list(WithUpstreamBug(Audience(waves=1), wave=2).waves())) == 3
    with pytest.raises(ValueError, match="wave must be at least 1, got 0"):
        WithUpstreamBug(Audience(), wave=0)


def test_a_simulator_that_is_started_again_between_bug_and_mending_mends(tmp_path: Path) -> None:
    store, whole = Memory(), Memory()
    for _ in range(5):  # one wave each
        simulator = Simulator(WithUpstreamBug(Audience(), 2), store, store, tmp_path / "place")
        simulator.begin()
        simulator.advance()
    through = Simulator(WithUpstreamBug(Audience(), 2), whole, whole, tmp_path / "through")
    through.begin()
    for _ in range(5):
        through.advance()
    assert alike(store.rows, whole.rows)
    assert all(np.isfinite(found["taste"]).all() for found in store.rows.values())


def test_generated_listeners_go_on_as_without_it() -> None:
    with_bug, plain = WithUpstreamBug(GeneratedAudience(MIN_USERS)), GeneratedAudience(MIN_USERS)
    assert with_bug.columns == plain.columns
    assert with_bug.name == plain.name
    told = [wave.title for wave in islice(with_bug.waves(), 6)]
    assert told[1] == "an upstream bug writes NaN into genre_embedding of 25 listeners"
    assert told[2] == "the bug is mended: 25 listeners get their genre_embedding back"
    assert [told[0], *told[3:]] == [wave.title for wave in islice(plain.waves(), 4)]
