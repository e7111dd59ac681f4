"""What is printed of a run, and what is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from schemas.fault_points import Point
from tests.crash.harness import RANDOM, Tally

FILE = Path(__file__).with_name("results.json")


def progress(tally: Tally, kills: int) -> str:
    """A line while it goes on."""
    return (
        f"{tally.seconds:6.0f} s  kills {tally.kills.total()}/{kills}  points {len(tally.fired)}/{len(Point)}  "
        f"cycles {tally.cycles.total()}  versions {tally.versions}  events {tally.events}"
    )


def summary(tally: Tally) -> str:
    """All of it in a line."""
    figures = {
        "kills": tally.kills.total(),
        "restarts": tally.starts - 1,
        "points": f"{len(tally.fired)}/{len(Point)}",
        "cycles": tally.cycles.total(),
        "versions": tally.versions,
        "events": tally.events,
        "users": tally.users,
        "dead_letters": tally.garbage,
        "lost": tally.found("lost"),
        "duplicated": tally.found("duplicated"),
        "wrong": tally.found("wrong"),
        "seconds": round(tally.seconds),
    }
    return " ".join(f"{name}={figure}" for name, figure in figures.items())


def never_fired(tally: Tally) -> list[str]:
    """Points that were nobody's end."""
    return [point.value for point in Point if point not in tally.fired]


def write(tally: Tally, seed: int, instances: int, path: Path = FILE) -> None:
    """Keep it: nothing of the machine but how long it took."""
    by_victim = {
        victim: sum(count for (_, who), count in tally.kills.items() if who == victim)
        for victim in ("consumer", "trainer", "both")
    }
    told = {
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "instances": instances,
        "seconds": round(tally.seconds),
        "kills": tally.kills.total(),
        "kills_by_victim": by_victim,
        "kills_at_random_times": sum(count for (where, _), count in tally.kills.items() if where == RANDOM),
        "restarts": tally.starts - 1,
        "cycles": dict(sorted(tally.cycles.items())),
        "versions": tally.versions,
        "events": tally.events,
        "users": tally.users,
        "dead_letters": tally.garbage,
        "lost": tally.found("lost"),
        "duplicated": tally.found("duplicated"),
        "wrong": tally.found("wrong"),
        "findings": [f"{finding.kind}: {finding.what}" for finding in tally.findings[:50]],
        "points_fired": {point.value: tally.fired[point] for point in Point},
    }
    path.write_text(json.dumps(told, indent=2) + "\n")
