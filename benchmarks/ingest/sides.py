"""Reading a topic in a process of its own: by our listener into a ledger, or by a bare poll loop that keeps nothing.

    python -m benchmarks.ingest.sides ours|bare|plain|parsed|slow BROKER TOPIC EVENTS FOLDER

`bare` is a bare loop at its best: its start is frozen as ours is, and it does not wait for quiet partitions while
others have something to tell; `plain` is the loop as everybody writes it; `parsed` is the bare one with json.loads of
every value; `slow` is the bare one on a kafka-python installed without its extra `crc32c`, which computes the checksum
of each record batch in Python.

prints one line of JSON: `seconds` from the poll that brought the first event to the last event stored (or polled), and
`next`, the offset behind the last one read, by partition. Ours leaves what it kept in `FOLDER/kept.tsv`.
"""

from __future__ import annotations

import json
import sys

if sys.argv[1:2] == ["slow"]:
    sys.modules["crc32c"] = None  # type: ignore[assignment]  # before the client looks for it

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer
from sqlalchemy import create_engine, text

from benchmarks.ingest.topic import GROUP
from consumer.allocator import give_back_large_blocks
from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.ledger.ledger import open_ledger
from consumer.listener.listener import Listener
from consumer.settings import Settings
from retrainer.cli.run import freeze_the_start

LONGEST_SECONDS = 300
_NOT_YET = 0.1
_PLAIN = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "isolation_level": "read_committed"}
# What suits it best of 500 to 10,000 records and 5 to 500 ms. The client has one request at a time with a broker, and
# may be waiting for partitions that have come to their end when it could fetch others.
_BEST = _PLAIN | {"max_poll_records": 2000, "fetch_max_wait_ms": 5}


def bare(
    broker: str, topic: str, events: int, options: dict[str, Any], each: Callable[[Any], object] | None = None
) -> dict[str, Any]:
    """Poll until all is there, and do nothing but count; `each` is called for every record where it is given."""
    started = first_events()
    consumer = KafkaConsumer(topic, bootstrap_servers=broker, group_id=f"bare-{time.time_ns()}", **options)
    seen = 0
    while seen < events:
        for records in consumer.poll(timeout_ms=500).values():
            seen += len(records)
            if each is not None:
                for record in records:
                    each(record)
    ended = time.perf_counter()
    following = {str(tp.partition): consumer.position(tp) for tp in consumer.assignment()}
    consumer.close()
    return {"seconds": ended - started[0], "next": following}


def ours(broker: str, topic: str, events: int, folder: Path) -> dict[str, Any]:
    """Our listener as `retrainer run` starts it, with its default settings, into an SQLite ledger with its.

    Raises:
        TimeoutError: the events are not all there after five minutes.
    """
    settings = Settings(
        state_dir=folder,
        feature_group=GROUP,
        kafka=KafkaSettings(bootstrap_servers=[broker], topic=topic, group_id=f"ours-{time.time_ns()}"),
    )
    database = f"sqlite:///{folder / 'ledger.db'}"
    ledger = open_ledger(database)
    started, ended, done = first_events(), 0.0, threading.Event()

    def heard() -> None:  # by the listener's thread, after a transaction
        nonlocal ended
        if not done.is_set() and listener.status.events >= events:
            ended = time.perf_counter()
            done.set()

    give_back_large_blocks()
    listener = Listener(settings, ledger.intake, Clock(), heard)
    freeze_the_start()
    listener.start()
    if not done.wait(LONGEST_SECONDS):
        raise TimeoutError(f"{listener.status.events:,} of {events:,} events were stored in {LONGEST_SECONDS} s")
    listener.stop()
    listener.join()
    ledger.close()
    return {"seconds": ended - started[0], "next": kept(database, folder)}


def kept(database: str, folder: Path) -> dict[str, int]:
    """The offset behind the last record read, by partition; what the ledger keeps goes to `FOLDER/kept.tsv`."""
    with create_engine(database).connect() as connection:
        following = {
            str(number): int(offset)
            for number, offset in connection.execute(text("SELECT partition, next_offset FROM offsets"))
        }
        rows = connection.execute(text("SELECT user_id, events, first_position, last_position FROM changes")).all()
    (folder / "kept.tsv").write_text("".join(sorted("\t".join(map(str, row)) + "\n" for row in rows)))
    return following


def first_events(ready: Callable[[], bool] = lambda: True) -> list[float]:
    """Notes when the poll began that brings the first events, as the only item; after it, polls are left alone.

    Until `ready`, polls bring nothing.
    """
    moments: list[float] = []
    poll = KafkaConsumer.poll

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not ready():
            time.sleep(_NOT_YET)
            return {}
        moment = time.perf_counter()
        if found := poll(self, *args, **kwargs):
            moments.append(moment)
            KafkaConsumer.poll = poll
        return found

    KafkaConsumer.poll = timed
    return moments


def _parse(record: Any) -> None:
    json.loads(record.value)


def main() -> int:
    """Read as the command line says."""
    side, broker, topic, count, folder = sys.argv[1:]
    events = int(count)
    if side == "ours":
        result = ours(broker, topic, events, Path(folder))
    elif side == "plain":
        result = bare(broker, topic, events, _PLAIN)
    else:
        freeze_the_start()
        result = bare(broker, topic, events, _BEST, _parse if side == "parsed" else None)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
