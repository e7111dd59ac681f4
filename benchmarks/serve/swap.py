"""Queries lost, and their latency, while the example server takes one version after another.

The server of examples/serving runs as a process, follows a topic on an Apache Kafka, and is asked at times that are
fixed beforehand. In the quiet phases nothing else happens; in the phase between them a new version is promoted as soon
as the last one answers, without a pause: far more often than a service ever would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any

import numpy as np
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from benchmarks.ingest.topic import broker
from benchmarks.rows import ResultsDifferError, Row, Setup, figure
from benchmarks.serve.load import Asked
from benchmarks.serve.versions import MODEL, fill, make
from consumer.configuration.kafka import KafkaSettings
from consumer.model_events.topic import TopicSender
from schemas.model_events import ModelEvent, ModelEventData, ModelEventType

SWAP = "serve.swap"
_TOPIC = "retrainer.model-versions"
_READY_SECONDS = 300.0
_LOOK_EVERY = 0.1
_TWICE = 2.0


@dataclass(frozen=True, slots=True)
class Phase:
    """What was asked in one phase."""

    asked: list[Asked]
    seconds: float

    def and_then(self, more: Phase) -> Phase:
        """Both."""
        return Phase([*self.asked, *more.asked], self.seconds + more.seconds)

    @property
    def lost(self) -> int:
        """How many queries failed."""
        return sum(one.version is None for one in self.asked)

    def latency(self, percent: float) -> float:
        """A percentile of the latency, in milliseconds."""
        return 1000 * float(np.percentile([one.latency for one in self.asked], percent))


def swap(setup: Setup) -> list[Row]:
    """Lost queries a second while versions are swapped; the target says how slow the slowest may be, too."""
    users, rate, seconds, swaps = setup.size(10_000, 200), setup.size(40, 20), setup.size(30, 5), setup.size(8, 2)
    fill(setup.folder, users)
    make(setup.folder, swaps + 1)
    with broker() as address, _server(address, setup.folder) as port:
        sender = TopicSender(KafkaSettings(bootstrap_servers=[address]), _TOPIC)
        _promote(sender, 1)
        _wait_for(port, 1)
        _ask(setup.folder, port, rate, 2.0, users)  # the first queries open connections
        before = _ask(setup.folder, port, rate, seconds, users)
        swapping = _while_swapping(setup.folder, port, rate, _READY_SECONDS, users, sender, swaps)
        quiet = before.and_then(_ask(setup.folder, port, rate, seconds, users))
        sender.close()
    _check([*quiet.asked, *swapping.asked])
    slower = swapping.latency(99) / quiet.latency(99)
    told = (f"p{percent} {quiet.latency(percent):.1f} and {swapping.latency(percent):.1f} ms" for percent in (50, 99))
    note = (
        f"{rate} queries/s of {users:,} users, {swaps} swaps in {swapping.seconds:.0f} s, {swapping.lost} of "
        f"{len(swapping.asked):,} lost; quiet and swapping {', '.join(told)}, {slower:.2f} times; slowest "
        f"{quiet.latency(100):.0f} and {swapping.latency(100):.0f} ms"
    )
    target = f"p99 below {_TWICE:g} times the quiet one", slower < _TWICE
    return [figure(SWAP, swapping.lost / swapping.seconds, "lost/s", most=0, also=target, note=note)]


def _while_swapping(
    folder: Path, port: int, rate: float, most: float, users: int, sender: TopicSender, swaps: int
) -> Phase:
    """The phase in which versions are promoted, one as soon as the other answers, until there were so many `swaps`."""
    out, began = folder / "asked.json", time.monotonic()
    asking = _asking(out, port, rate, most, users)
    first = served = _served(port) or 0
    _promote(sender, served + 1)
    while time.monotonic() - began < most:
        if _served(port) == served + 1:
            served += 1
            if served == first + swaps:
                break
            _promote(sender, served + 1)
        time.sleep(_LOOK_EVERY)
    else:
        raise RuntimeError(f"only {served - first} of {swaps} swaps happened within {most} s")
    asking.communicate(timeout=_READY_SECONDS)  # closes its standard input
    return Phase(_read(out), time.monotonic() - began)


def _ask(folder: Path, port: int, rate: float, seconds: float, users: int) -> Phase:
    out = folder / "asked.json"
    asking = _asking(out, port, rate, seconds, users)
    asking.wait(seconds + _READY_SECONDS)
    return Phase(_read(out), seconds)


def _asking(out: Path, port: int, rate: float, seconds: float, users: int) -> subprocess.Popen[bytes]:
    arguments = [f"127.0.0.1:{port}", str(rate), str(seconds), str(users), str(out)]
    return subprocess.Popen([sys.executable, "-m", "benchmarks.serve.load", *arguments], stdin=subprocess.PIPE)


def _read(out: Path) -> list[Asked]:
    found = [Asked(*one) for one in json.loads(out.read_text())]
    out.unlink()
    return found


def _check(asked: list[Asked]) -> None:
    """Odd versions answer alike, even ones alike, and one not as the other: nothing was mixed, and it was swapped.

    Raises:
        ResultsDifferError: an answer is of another model than it says.
    """
    told: dict[tuple[str, int], set[str]] = {}
    for one in asked:
        if one.version is not None:
            told.setdefault((one.user, one.version % 2), set()).add(one.told)
    if mixed := [user for (user, _), answers in told.items() if len(answers) > 1]:
        raise ResultsDifferError(f"{len(mixed)} users got answers that are of no version, {mixed[0]} for one")
    both = [user for user, parity in told if parity == 0 and (user, 1) in told]
    if both and all(told[user, 0] == told[user, 1] for user in both):
        raise ResultsDifferError("two different models answer alike")


@contextmanager
def _server(address: str, state: Path) -> Iterator[int]:
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(name=_TOPIC, num_partitions=1, replication_factor=1)])
    admin.close()
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    arguments = ["--brokers", address, "--topic", _TOPIC, "--state", str(state), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.serving", *arguments],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def _promote(sender: TopicSender, version: int) -> None:
    data: dict[str, Any] = {"version": version, "champion": version, "promotion": version, "cycle_id": None}
    sender.send(
        ModelEvent(
            id=f"bench-p{version}",
            source="/retrainer/bench",
            type=ModelEventType.PROMOTED,
            subject=f"{MODEL}/{version}",
            time=datetime.now(UTC),
            sequence=f"{version:012d}",
            data=ModelEventData(**data, reason="measured", model_name=MODEL, files=None),
        )
    )


def _served(port: int) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            version: int = json.load(answer)["version"]
            return version
    except OSError:
        return None


def _wait_for(port: int, version: int) -> None:
    ends = time.monotonic() + _READY_SECONDS
    while _served(port) != version:
        if time.monotonic() > ends:
            raise RuntimeError(f"version {version} was not served within {_READY_SECONDS:.0f} s")
        time.sleep(_LOOK_EVERY)
