"""Worlds that drift: after each wave, is the champion as good as a full retrain on that day's data, or was it said?

The follower runs cycles as the service does: changed users are claimed until a cycle settles them, and a full retrain
that a cycle asks for is run once in so many waves. Beside it, every day, everybody is read and a model trained from
scratch; both are asked on that day's held-out users, by that day's scaling.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.site import Site
from benchmarks.worlds import WORLDS
from schemas.cycle import CycleResult, Metrics, Outcome
from stores.features.local import LocalFeatureStore
from trainer.exam.evaluate import score

LIMITS = {"accuracy": 0.005, "precision": 0.02, "recall_at_10": 0.02}
"""How far the champion may be behind without a word."""

_BETWEEN_FULL = 3  # waves: the interval of full retrains that are asked for by drift


def follow(
    name: str, folder: Path, users: int, waves: int, tell: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    """One row a wave, told at once too: how the cycle ended, what it asked for, how far the champion is behind."""
    world = WORLDS[name](users, waves, 0.05, 1)
    store = LocalFeatureStore(folder / "store.db", world.group)
    store.commit(world.initial)
    follower = Site(folder / "follower", folder / "store.db", world.group)
    first = follower.run("first", [])
    assert first.version is not None, first.reason
    pending: dict[str, None] = {}
    rows, asked, since_full = [], None, _BETWEEN_FULL
    for number, wave in enumerate(world.waves):
        store.commit(wave.rows)
        pending |= dict.fromkeys(wave.announced)
        result = follower.run(f"wave-{number}", list(pending))
        ended = [result]
        asked, since_full = result.asks_full or asked, since_full + 1
        pending = _left(result, pending)
        believed = result.outcome is not Outcome.HELD or result.asks_full is not None
        if asked and believed and since_full > _BETWEEN_FULL:
            full = follower.run(f"full-{number}", list(pending), full=True)
            ended.append(full)
            since_full = 0
            asked = None if full.version else asked
            pending = _left(full, pending)
        rows.append(_row(name, number, ended, asked, *_both(follower, folder / f"fresh-{number}", store, world.group)))
        tell(rows[-1])
    store.close()
    return rows


def _left(result: CycleResult, pending: dict[str, None]) -> dict[str, None]:
    settled = result.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}
    return {} if settled else pending


def _both(follower: Site, folder: Path, store: LocalFeatureStore, group: Any) -> tuple[Metrics, Metrics]:
    """Figures of the champion and of a full retrain, on today's held-out users."""
    fresh = Site(folder, folder.parent / "store.db", group)
    retrained = fresh.run("fresh", [])
    assert follower.champion is not None
    if retrained.version is None:
        raise RuntimeError(f"a full retrain of {store.count()} users was {retrained.outcome}: {retrained.reason}")
    exam = fresh.exam(retrained.version)
    champion, other = (
        score(site.model(at), exam) for site, at in ((follower, follower.champion), (fresh, retrained.version))
    )
    return champion.metrics, other.metrics


def _row(
    name: str, number: int, ended: list[CycleResult], asked: str | None, champion: Metrics, full: Metrics
) -> dict[str, Any]:
    behind = {figure: (getattr(champion, figure) or 0.0) - (getattr(full, figure) or 0.0) for figure in LIMITS}
    last = ended[-1]
    said = asked or next((one.asks_full for one in ended if one.asks_full), None)
    held = next((one.reason for one in ended if one.outcome is Outcome.HELD), None)
    near = all(behind[figure] >= -limit for figure, limit in LIMITS.items())
    return {
        "world": name,
        "wave": number + 1,
        "outcomes": [f"{one.outcome.value}" for one in ended],
        "learned": sum(one.version is not None for one in ended),
        "reason": last.reason,
        **behind,
        "near": near,
        "asked": said,
        "held": held,
        "kept": near or said is not None or held is not None,
    }
