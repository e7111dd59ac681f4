"""The rows of each size: what a service with so many users takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.ingest.rate import Reader, Topic
from benchmarks.ingest.topic import broker
from benchmarks.machine import cores
from benchmarks.rows import Row, Setup, told
from benchmarks.sizing.world import Found, measured

SIZES = (2_000, 10_000, 30_000, 100_000)
STEPS = ("read", "embed", "pair", "fit", "gate")
"""Of the first cycle, those that take more where there are more users."""

_MIB = 2**20
_EVENTS = 200_000
_CALM = 2
"""A service uses up to as many cores as there are; twice as many processes that want one are others, too."""


def users_2000(setup: Setup) -> list[Row]:
    """With 2,000 users."""
    return _rows(setup, 2_000)


def users_10000(setup: Setup) -> list[Row]:
    """With 10,000 users."""
    return _rows(setup, 10_000)


def users_30000(setup: Setup) -> list[Row]:
    """With 30,000 users."""
    return _rows(setup, 30_000)


def users_100000(setup: Setup) -> list[Row]:
    """With 100,000 users."""
    return _rows(setup, 100_000)


def _rows(setup: Setup, size: int) -> list[Row]:
    """All rows of a size; in a quick run with 600 users, whatever the size."""
    users, rounds = setup.size(size, 600), setup.size(3, 1)
    events = setup.size(_EVENTS, 3_000)
    with broker() as address:
        found = measured(_new(setup, "service"), address, users, rounds)
        topic = Topic.filled(address, "events", events, users)
        rate = Reader(_new(setup, "reader"), None).rate("ours", topic)
    return list(_told(f"sizing.{size}", found, rate, f"{events:,} events"))


def _new(setup: Setup, name: str) -> Path:
    folder = setup.folder / name
    folder.mkdir()
    return folder


def _told(name: str, found: Found, rate: float, events: str) -> Iterator[Row]:
    outcomes = ", ".join(cycle.outcome for cycle in found.cycles)
    busy = f"; the machine was busy: load {found.load:.0f} on {cores()} cores" if found.load > _CALM * cores() else ""
    yield told(name, found.first.seconds, "s", note=f"the first cycle; the cycles were {outcomes}{busy}")
    for step in STEPS:
        yield told(f"{name}.first.{step}", found.first.steps.get(step, 0.0), "s", note=f"of the first cycle{busy}")
    yield told(f"{name}.cycle", found.later, "s", note=f"a cycle of 1 %, median of {len(found.cycles) - 1}{busy}")
    yield told(f"{name}.trainer", found.peaks.trainer / _MIB, "MiB", note="resident at most, mapped files included")
    yield told(f"{name}.consumer", found.peaks.consumer / _MIB, "MiB", note="resident at most")
    yield told(f"{name}.together", found.peaks.together / _MIB, "MiB", note="resident of all processes at one moment")
    yield told(f"{name}.space", found.space / _MIB, "MiB", note="on disk: matrix, short rows and pairs")
    yield told(f"{name}.version", found.version / _MIB, "MiB", note="on disk: one version, with its report")
    yield told(f"{name}.ledger", found.ledger / _MIB, "MiB", note="on disk, all users learned")
    yield told(f"{name}.events", rate, "/s", note=f"{events} read and stored{busy}")
