"""P3 after a rollback: the next cycle's pairs are those of everybody's rows of today, whatever became of the space."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.manifest import SpaceInfo
from stores.features.reading import read_all
from stores.registry.opening import open_registry
from tests.models.small_loop import SmallLoop
from tests.models.test_space import no_tick, pairs
from tests.worlds import GROUP, names
from trainer.space import Space

pytestmark = pytest.mark.full

OLD = 2
"""The champion that a rollback goes back to."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 from scratch, and version 2 from it, in one space."""
    folder = tmp_path_factory.mktemp("two_versions")
    with closing(SmallLoop(folder)) as loop:
        loop.commit(names(300))
        loop.cycle(CycleKind.BOOTSTRAP, "no version is registered yet")
        loop.commit([*names(40), *names(5, start=300)], names(3, start=60))
        assert loop.cycle().version == OLD
    return folder


@pytest.fixture
def loop(tmp_path: Path, template: Path) -> Iterator[SmallLoop]:
    """Since then users changed, came and went, and a full retrain has learned that."""
    with closing(SmallLoop(tmp_path, template)) as opened:
        opened.commit([*names(30, start=100), *names(4, start=400)], names(3, start=200))
        full = opened.cycle(CycleKind.FULL, "an operator asks")
        assert (full.outcome, full.version) == (Outcome.REGISTERED, 3)
        assert spaces(opened) == {space_of(opened, OLD).space_id, space_of(opened, 3).space_id}
        yield opened


def test_a_space_that_is_gone_is_made_again_of_everybody(loop: SmallLoop) -> None:
    loop.commit([*names(20, start=150), "u400"], ["u401", "u30"])
    assert loop.cycle().version == 4
    assert spaces(loop) == {space_of(loop, 3).space_id}  # the old one went with that cycle
    result = next_cycle(loop)
    assert result.read is not None
    assert (result.read.whole, result.read.accepted) == (True, result.known_users)
    check_space(loop)


def test_a_space_that_is_still_there_catches_up_with_what_came_back(loop: SmallLoop) -> None:
    result = next_cycle(loop)
    assert result.read is not None
    assert (result.read.whole, result.read.accepted, result.read.deleted) == (False, 30 + 4 + 10, 3)
    assert result.pairs is not None
    assert result.pairs.rows_mined == 30 + 4 + 10
    check_space(loop)


def next_cycle(loop: SmallLoop) -> CycleResult:
    """A rollback to the old champion, a few changes more, and the next incremental cycle, which builds on it."""
    standing = loop.ledger.views.history().champion
    told: dict[str, Any] = {"by": "ann", "reason": "the vectors are wrong", "now": time.time(), "hold_down": 0.0}
    loop.ledger.promotions.rollback(OLD, instead_of=standing, **told)
    loop.commit(names(10, start=250))
    result = loop.cycle()
    assert (result.outcome, result.base_version) == (Outcome.REGISTERED, OLD)
    assert loop.ledger.views.history().champion == result.version
    assert loop.ledger.views.backlog().empty
    return result


def check_space(loop: SmallLoop) -> None:
    """The space is the old champion's, scaled as then; rows and pairs are those of one made of all users of today."""
    info = space_of(loop, OLD)
    assert spaces(loop) == {info.space_id}
    rows = read_all(loop.store, GROUP, set(), lambda _done: None)
    live = Space.open(loop.settings.work_dir / "spaces" / info.space_id, info, GROUP)
    assert live is not None
    afresh = Space.create(loop.folder / "afresh", info, GROUP)
    afresh.apply(rows, [])
    afresh.update_pairs(loop.settings.pairs, no_tick)
    with closing(live), closing(afresh):
        at = live.matrix.rows_of(rows.keys)
        assert len(live.matrix) == len(at) == len(rows.keys)
        np.testing.assert_array_equal(live.matrix.raw[[at[key] for key in rows.keys]], rows.raw)
        assert len(pairs(live)) > 300
        assert pairs(live) == pairs(afresh)


def space_of(loop: SmallLoop, version: int) -> SpaceInfo:
    (found,) = [one for one in open_registry(loop.settings.for_trainer()).versions() if one.version == version]
    return found.manifest.space


def spaces(loop: SmallLoop) -> set[str]:
    return {folder.name for folder in (loop.settings.work_dir / "spaces").iterdir()}
