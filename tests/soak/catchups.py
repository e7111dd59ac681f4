"""Whether the consumer's memory levels off when it catches up again and again: `python -m tests.soak.catchups`.

A listener in a process of its own is stopped, many events are sent, and it goes on: it reads in the largest polls that
there are. Python and the C library keep some of the room that a poll took, so the first catch-ups raise the memory.
What is kept has a bound, as polls have one, so later catch-ups must add nothing. The two of a soak are too few to tell.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from consumer.allocator import give_back_large_blocks
from consumer.ledger.ledger import open_ledger
from tests.brokers.apache_kafka import apache_kafka
from tests.integration.listening import listening, read, settings_for
from tests.integration.topics import Topic
from tests.leftovers import guarded
from tests.soak.check import MIB
from tests.waiting import wait_until

_USERS = 2600
_ROOM = 2 * MIB
_LOOK_EVERY = 0.2


def main() -> int:
    """Catch up, print the memory after each time; 1 where the last third is larger than the second by 2 MiB."""
    wanted = argparse.ArgumentParser(prog="python -m tests.soak.catchups", description=__doc__)
    wanted.add_argument("--times", type=int, default=24)
    wanted.add_argument(
        "--events", type=int, default=47_000, help="that wait each time; as many as in ten minutes of a soak"
    )
    wanted.add_argument("--listen", nargs=3, help=argparse.SUPPRESS)
    given = wanted.parse_args()
    if given.listen:
        _listen(*given.listen)
        return 0
    with guarded(), apache_kafka() as broker, TemporaryDirectory() as folder:
        sizes = _caught_up(Topic.new(broker), Path(folder), given.times, given.events)
    third = len(sizes) // 3
    second, last = median(sizes[third : 2 * third]), median(sizes[-third:])
    flat = last - second <= _ROOM
    print(f"{'flat' if flat else 'not flat'}: {second / MIB:.1f} MiB, then {last / MIB:.1f} MiB")
    return 0 if flat else 1


def _caught_up(topic: Topic, folder: Path, times: int, events: int) -> list[int]:
    """Resident bytes of the listener after each catch-up."""
    command = [sys.executable, "-m", "tests.soak.catchups", "--listen", topic.broker, topic.name, str(folder)]
    sizes: list[int] = []
    with subprocess.Popen(command) as child:
        process = psutil.Process(child.pid)
        try:
            for number in range(times + 1):
                if number:
                    os.kill(child.pid, signal.SIGSTOP)
                topic.send_users(f"listener-{user % _USERS:05d}" for user in range(events))
                os.kill(child.pid, signal.SIGCONT)
                wait_until(lambda: _counted(folder) == (len(sizes) + 1) * events, 120, "all to be stored")
                sizes.append(process.memory_info().rss)
                print(f"    {number:2d}  {sizes[-1] / MIB:.1f} MiB", flush=True)
        finally:
            child.kill()
    return sizes[1:]


def _counted(folder: Path) -> int:
    try:
        return int((folder / "counted").read_text() or 0)
    except FileNotFoundError:
        return 0


def _listen(broker: str, name: str, folder: str) -> None:
    """Listen until killed, and say in a file how many events are stored."""
    give_back_large_blocks()
    path = Path(folder)
    settings = settings_for(Topic(broker, name), path, session_timeout_ms=60_000)
    ledger = open_ledger(f"sqlite:///{path / 'ledger.db'}")
    with listening(settings, ledger.intake):
        while True:
            (path / "counted").write_text(str(read(ledger)))
            time.sleep(_LOOK_EVERY)


if __name__ == "__main__":
    sys.exit(main())
