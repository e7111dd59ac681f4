"""A service with so many users, from an empty ledger to a version and a few that follow, and what is measured."""

from __future__ import annotations

import json
import sqlite3
import statistics
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from kafka import KafkaProducer

from benchmarks.data import raw_listeners
from retrainer.relay import Relay, ensure_topic
from schemas.features import FeatureGroup
from stores.features.local import LocalFeatureStore
from tests.integration.service import ServiceProcess
from tests.soak.sampling import peak
from tests.waiting import wait_until

_TOPIC, _PARTITIONS = "sizes", 3
_LOOK_EVERY = 0.2
_LONGEST = 240.0
"""Seconds that one cycle may take, five times as many on a busy machine; a benchmark ends after 15 minutes anyhow."""
_ENDED = "SELECT kind, state, ended_at - claimed_at, result FROM cycles WHERE ended_at IS NOT NULL ORDER BY number"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle that has ended, as the ledger has it."""

    kind: str
    outcome: str
    seconds: float
    """From the claim to the end."""
    steps: dict[str, float]
    """Seconds of each step of the trainer."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most resident memory, in bytes: of the consumer, of any trainer, of both at one moment."""

    consumer: int
    trainer: int
    together: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured of a service. Sizes are bytes."""

    cycles: tuple[Cycle, ...]
    peaks: Peaks
    space: int
    """What trainers keep from cycle to cycle: matrix, short rows, pairs."""
    version: int
    """One version in the registry."""
    ledger: int
    load: float
    """Average number of processes that wanted a core in the minute before the end."""

    @property
    def first(self) -> Cycle:
        """The cycle from scratch."""
        return self.cycles[0]

    @property
    def later(self) -> float:
        """Seconds of a cycle that goes on from the champion, the median."""
        return statistics.median(cycle.seconds for cycle in self.cycles[1:])


def measured(folder: Path, address: str, users: int, rounds: int) -> Found:
    """A service on `users` generated listeners, of whom 1 % change `rounds` times; its broker is at `address`.

    Raises:
        RuntimeError: a cycle failed, or was held.
    """
    group, changes = FeatureGroup(), max(1, users // 100)
    with closing(LocalFeatureStore(folder / "feature_store.db", group)) as store, closing(_producer(address)) as sender:
        ensure_topic({"bootstrap_servers": address}, _TOPIC, _PARTITIONS)
        for chunk in raw_listeners(users):
            store.commit(chunk)
        Relay(store, sender, _TOPIC).publish()
        service = ServiceProcess(folder, _settings(address, changes))
        service.start()
        try:
            assert service.process is not None
            with _watched(service.process.pid) as peaks:
                _wait(service, 1)
                for number in range(rounds):
                    store.commit(_changed(number, changes))
                    Relay(store, sender, _TOPIC).publish()
                    _wait(service, number + 2)
            service.stop()
        finally:
            service.close()
    return Found(
        tuple(_cycles(folder)),
        peaks[0],
        _size(folder / "trainer"),
        _size(max((folder / "registry").glob("*/*/"), key=lambda version: version.stat().st_mtime)),
        sum(path.stat().st_size for path in folder.glob("ledger.db*")),
        psutil.getloadavg()[0],
    )


def _settings(address: str, changes: int) -> dict[str, str]:
    return {
        "KAFKA__BOOTSTRAP_SERVERS": address,
        "KAFKA__TOPIC": _TOPIC,
        "KAFKA__GROUP_ID": "sizes",
        "TRIGGER__CHANGED_USERS": str(changes),
        "TRIGGER__MIN_INTERVAL": "0",
        "TRIGGER__QUIET_PERIOD": "1",
        "TRIGGER__FULL_ON_DRIFT": "false",  # a cycle from scratch would be taken for one that goes on
        "GATE__REGISTER_UNCHANGED": "true",
        "HTTP__ENABLED": "true",  # its memory counts
        "HTTP__PORT": "0",
        "LOG__FORMAT": "json",
    }


def _changed(number: int, changes: int) -> dict[str, Any]:
    """The next `changes` users, with rows of others."""
    ids = [f"listener-{at:06d}" for at in range(1 + number * changes, 1 + (number + 1) * changes)]
    rows = [row for chunk in raw_listeners(changes, seed=1 + number) for row in chunk.values()]
    return dict(zip(ids, rows, strict=True))


def _wait(service: ServiceProcess, count: int) -> None:
    """Until so many cycles have ended."""
    assert service.process is not None
    process, folder = service.process, service.folder

    def ended() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode}: {service.log()[-3:]}")
        found = _cycles(folder)
        if bad := [cycle for cycle in found if cycle.outcome in ("failed", "held")]:
            raise RuntimeError(f"a cycle was {bad[0].outcome}: {service.ended()[-1:]}")
        return len(found) >= count

    wait_until(ended, _LONGEST, f"cycle {count} to end")


def _cycles(folder: Path) -> list[Cycle]:
    if not (folder / "ledger.db").exists():
        return []
    with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as db:
        try:
            rows = db.execute(_ENDED).fetchall()
        except sqlite3.OperationalError:  # its tables are being made
            return []
    return [
        Cycle(kind, state, seconds, (json.loads(result) if result else {}).get("seconds") or {})
        for kind, state, seconds, result in rows
    ]


@contextmanager
def _watched(pid: int) -> Iterator[list[Peaks]]:
    """The peaks of a service's processes during the block, as the only item once it has ended."""
    ended, found = threading.Event(), [Peaks(0, 0, 0)]
    consumer = psutil.Process(pid)

    def look() -> None:
        while not ended.wait(_LOOK_EVERY):
            children = consumer.children(recursive=True)
            resident = 0
            for one in (consumer, *children):
                with suppress(psutil.Error):
                    resident += one.memory_info().rss
            last = found[0]
            found[0] = Peaks(
                peak(pid), max([last.trainer, *(peak(one.pid) for one in children)]), max(last.together, resident)
            )

    looking = threading.Thread(target=look, name="watch", daemon=True)
    looking.start()
    try:
        yield found
    finally:
        ended.set()
        looking.join()


def _producer(address: str) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=address, acks="all")


def _size(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
