"""The whole service reads a topic, in a process of its own, with its page and its metrics served or not.

    python -m benchmarks.ingest.watched_side alone|served|watched|busy BROKER TOPIC EVENTS FOLDER

`alone` serves nothing; `served` serves, and nobody asks; `watched` says in its status where it serves, reads once
`FOLDER/watched` is there, and serves until that is gone; `busy` is `alone` with a thread beside it that computes all
the time, as a server would that makes its pages again and again: so the row is seen to fall.

prints one line of JSON as benchmarks/ingest/sides.py does.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.ingest.sides import LONGEST_SECONDS, first_events, kept
from benchmarks.ingest.topic import GROUP
from consumer.allocator import give_back_large_blocks
from consumer.configuration.http import HttpSettings
from consumer.configuration.kafka import KafkaSettings
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.service import Service
from consumer.settings import Settings
from retrainer.cli.run import freeze_the_start

READY, STORED = "watched", "stored"
"""Files: the first is there while somebody watches, the second once all events are stored."""
_LOOK_EVERY = 0.05
_LONGEST_STOP = 60.0


def main() -> int:
    """Read as the command line says."""
    side, broker, topic, count, folder = sys.argv[1:]
    print(json.dumps(read(side, broker, topic, int(count), Path(folder))))
    return 0


def read(side: str, broker: str, topic: str, events: int, folder: Path) -> dict[str, Any]:
    """Run the service until so many events are stored.

    Raises:
        TimeoutError: they are not all there after five minutes.
    """
    settings = Settings(
        state_dir=folder,
        feature_group=GROUP,
        kafka=KafkaSettings(bootstrap_servers=[broker], topic=topic, group_id=f"{side}-{time.time_ns()}"),
        http=HttpSettings(enabled=side in ("served", "watched"), port=0),
        trainer={"warm": False},  # a trainer that starts beside it would take a core
    )
    give_back_large_blocks()
    database = f"sqlite:///{folder / 'ledger.db'}"
    over = threading.Event()
    if side == "busy":
        threading.Thread(target=_compute, args=(over,), daemon=True).start()
    with closing(open_ledger(database)) as ledger:
        service = Service(settings, ledger)
        started = first_events(ready=lambda: side != "watched" or (folder / READY).exists())
        freeze_the_start()
        running = threading.Thread(target=service.run, daemon=True)
        running.start()
        try:
            ended = _ended(ledger, events, running)
            over.set()
            (folder / STORED).touch()
            _wait_for_the_watchers(folder / READY)
        finally:
            service.stop()
            running.join(_LONGEST_STOP)
    return {"seconds": ended - started[0], "next": kept(database, folder)}


def _ended(ledger: Ledger, events: int, running: threading.Thread) -> float:
    """When the last event was stored."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while (stored := ledger.views.read().events) < events:
        if time.monotonic() > deadline or not running.is_alive():
            raise TimeoutError(f"{stored:,} of {events:,} events were stored in {LONGEST_SECONDS} s")
        time.sleep(_LOOK_EVERY)
    return time.perf_counter()


def _wait_for_the_watchers(there: Path) -> None:
    """Until nobody asks any more, so that the end of the service leaves no request without an answer."""
    deadline = time.monotonic() + _LONGEST_STOP
    while there.exists() and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)


def _compute(over: threading.Event) -> None:
    while not over.is_set():
        sum(range(1_000))


if __name__ == "__main__":
    sys.exit(main())
