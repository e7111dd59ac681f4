"""Queries at times that are fixed beforehand, whatever the answers take: an open loop.

    python -m benchmarks.serve.load HOST:PORT RATE SECONDS USERS OUT.json

It ends after so many seconds, or once its standard input is closed, whichever comes first.

A client that waits for an answer before it asks again asks less just when the server is slow, and so hides it. Here the
times of the queries are drawn before (Poisson), and a query that has to wait for a free connection has waited: its
latency counts from the time at which it was due.
"""

from __future__ import annotations

import gc
import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_CONNECTIONS = 24
_TIMEOUT = 30.0


class Asked(NamedTuple):
    """A query and its answer."""

    due: float
    """Seconds since the epoch."""
    latency: float
    """Seconds from the time at which it was due."""
    version: int | None
    """None where it failed."""
    user: str
    told: str
    """The similar users, as one text; why it failed, where it did."""


def arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Seconds after the beginning at which queries are due."""
    draw, at = random.Random(seed), 0.0
    while (at := at + draw.expovariate(rate)) < seconds:
        yield at


def run(
    address: str, rate: float, seconds: float, users: int, seed: int = 0, over: threading.Event | None = None
) -> list[Asked]:
    """Ask for so many seconds, or until `over`, and give all that was asked, in the order of the times."""
    due = list(arrivals(rate, seconds, seed))
    draw = random.Random(seed)
    names = [f"u{draw.randrange(users)}" for _ in due]
    found: list[Asked] = []
    turn, lock = iter(range(len(due))), threading.Lock()
    began = time.time() + 0.2

    def ask() -> None:
        connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)
        while True:
            with lock:
                number = next(turn, None)
            if number is None or (over is not None and over.is_set()):
                return connection.close()
            at = began + due[number]
            time.sleep(max(0.0, at - time.time()))
            version, told = _answer(connection, names[number])
            found.append(Asked(at, time.time() - at, version, names[number], told))

    threads = [threading.Thread(target=ask) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


def _answer(connection: http.client.HTTPConnection, user: str) -> tuple[int | None, str]:
    try:
        connection.request("GET", f"/similar?user={user}&count=10")
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != http.HTTPStatus.OK:
            return None, f"{answer.status}: {body}"
        return body["version"], " ".join(one["user"] for one in body["similar"])
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        connection.close()
        return None, f"{type(error).__name__}: {error}"


def _until_closed(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def main() -> None:
    """See above."""
    address, rate, seconds, users, out = sys.argv[1:]
    gc.disable()
    over = threading.Event()
    threading.Thread(target=_until_closed, args=(over,), daemon=True).start()
    found = run(address, float(rate), float(seconds), int(users), seed=int(time.time()), over=over)
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
