"""What is printed of a run, and what is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.crash.plan import POINTS, SPACE_POINTS, VICTIMS
from tests.crash.tally import OCCASIONS, Tally

FULL = 200
"""Kills of a run whose results are kept with the code."""
_KEPT = Path(__file__).with_name("results.json")
_TRIED = Path(__file__).parents[2] / "build" / "crash-results.json"


def progress(tally: Tally, kills: int) -> str:
    """A line while it goes on."""
    return (
        f"{tally.seconds:6.0f} s  kills {len(tally.kills)}/{kills}  points {len(tally.fired)}/{len(POINTS)}  "
        f"cycles {tally.cycles.total()}  versions {tally.versions}  events {tally.events}  "
        f"compared {len(tally.compared)}  findings {len(tally.findings)}"
    )


def summary(tally: Tally) -> str:
    """All of it in a line."""
    figures = {
        "kills": len(tally.kills),
        "restarts": tally.starts - 1,
        "points": f"{len(tally.fired)}/{len(POINTS)}",
        "cycles": tally.cycles.total(),
        "versions": tally.versions,
        "events": tally.events,
        "users": tally.users,
        "labels": tally.labels,
        "dead_letters": tally.garbage,
        "compared": len(tally.compared),
        "lost": tally.found("lost"),
        "duplicated": tally.found("duplicated"),
        "wrong": tally.found("wrong"),
        "seconds": round(tally.seconds),
    }
    return " ".join(f"{name}={figure}" for name, figure in figures.items())


def left_out(tally: Tally) -> list[str]:
    """What a run that was long enough would have had."""
    never = [point.value for point in POINTS if point not in tally.fired]
    followed = [f"{point.value} in a cycle that follows" for point in SPACE_POINTS if not tally.fired_following[point]]
    anew = [] if tally.compared[-1] else ["a cycle that follows in the space that was compared last"]
    return [*never, *followed, *anew]


def path_for(kills: int) -> Path:
    """Where the results of a run of so many kills belong: short ones do not replace those kept with the code."""
    return _KEPT if kills >= FULL else _TRIED


def write(tally: Tally, seed: int, instances: int, path: Path) -> None:
    """Keep it: nothing of the machine but how long it took."""
    told = {
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "instances": instances,
        "trainers_started_ahead": True,
        "seconds": round(tally.seconds),
        "kills": len(tally.kills),
        "kills_by_victim": {name: sum(kill.victim == name for kill in tally.kills) for name in VICTIMS},
        "kills_by_occasion": {name: sum(kill.occasion == name for kill in tally.kills) for name in OCCASIONS},
        "trainers_killed_while_waiting": sum(kill.waiting for kill in tally.kills),
        "kills_in_cycles_that_follow": sum(
            kill.cycle is not None and not kill.cycle.from_scratch for kill in tally.kills
        ),
        "restarts": tally.starts - 1,
        "cycles": dict(sorted(tally.cycles.items())),
        "cycles_by_kind": dict(sorted(tally.kinds.items())),
        "versions": tally.versions,
        "events": tally.events,
        "users": tally.users,
        "labels": tally.labels,
        "dead_letters": tally.garbage,
        "versions_that_followed_in_each_space_compared": tally.compared,
        "lost": tally.found("lost"),
        "duplicated": tally.found("duplicated"),
        "wrong": tally.found("wrong"),
        "findings": [f"{finding.kind}: {finding.what}" for finding in tally.findings[:50]],
        "points_fired": {point.value: tally.fired[point] for point in POINTS},
        "points_fired_in_cycles_that_follow": {point.value: tally.fired_following[point] for point in SPACE_POINTS},
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n")
