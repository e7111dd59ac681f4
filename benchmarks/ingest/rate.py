"""Events a second on the way from Kafka to where they are kept, beside a bare poll loop and beside Quix Streams.

All read the same topics of one Apache Kafka, in turns, each in a process of its own. What each has read and kept is
compared before any time counts: the offsets behind the last record, the users, and the events of each.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ingest.quix_venv import quix_python
from benchmarks.ingest.topic import broker, ends, fill
from benchmarks.rows import NotMeasured, ResultsDifferError, Row, Setup, comparison, not_measured

VS_BARE, VS_QUIX = "ingest.durable_vs_bare", "ingest.vs_quix"
_LEAST = {VS_BARE: 0.8, VS_QUIX: 2.5}
CHECKOUT = Path(__file__).parents[2]
_QUIX = ("exactly-once", "at-least-once")


@dataclass(frozen=True, slots=True)
class Topic:
    """A filled topic: what is in it is known."""

    address: str
    name: str
    events: Counter[str]
    """Of each user."""

    @staticmethod
    def filled(address: str, name: str, events: int, users: int, *, skewed: bool = False) -> Topic:
        """Make it and fill it."""
        return Topic(address, name, fill(address, name, events, users, skewed=skewed))


class Reader:
    """Reads topics in processes of their own and gives the events a second, of results that are checked."""

    def __init__(self, folder: Path, quix: Path | None) -> None:
        self._folder = folder
        self._quix = quix
        self._runs = 0

    def rate(self, side: str, topic: Topic) -> float:
        """Events a second of one run.

        Raises:
            ResultsDifferError: it did not read, or not keep, what is in the topic.
        """
        self._runs += 1
        folder = self._folder / f"{self._runs}-{side}"
        folder.mkdir()
        count = topic.events.total()
        program = [str(self._quix), "benchmarks/ingest/quix.py"] if side in _QUIX else [sys.executable, "-m", _SIDES]
        result = _output([*program, side, topic.address, topic.name, str(count), str(folder)])
        check(side, result["next"], ends(topic.address, topic.name), folder / "kept.tsv", topic.events)
        return count / float(result["seconds"])

    def rates(self, sides: Iterable[str], topic: Topic, rounds: int = 1) -> dict[str, list[float]]:
        """The rates of several sides, in turns."""
        found: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side, rates in found.items():
                rates.append(self.rate(side, topic))
        return found


_SIDES = "benchmarks.ingest.sides"


def rates(setup: Setup) -> list[Row]:
    """Both rows, from the same runs of ours.

    The row has users drawn evenly, which is the harder case: the fewer events share a user, the more is to be written.
    """
    events, users, rounds = setup.size(1_000_000, 3_000), setup.size(100_000, 300), setup.size(3, 1)
    few = events // 4
    quix, why = _quix_or_why(quix_python)
    with broker() as address:
        evenly = Topic.filled(address, "evenly", events, users)
        short = Topic.filled(address, "short", few, users)
        skewed = Topic.filled(address, "skewed", few, users, skewed=True)
        reader = Reader(setup.folder, quix)
        sides = ["bare", "plain", "ours", *(["exactly-once"] if quix else [])]
        found = {side: statistics.median(each) for side, each in reader.rates(sides, evenly, rounds).items()}
        others = ["parsed", "slow", *(["at-least-once"] if quix else [])]
        beside = {side: reader.rate(side, short) for side in others}
        steep = {side: reader.rate(side, skewed) for side in ("bare", "ours")}
    told = f"{events:,} events of {users:,} users, median of {rounds}"
    notes = (
        f"{told}; the loop as everybody writes it {found['plain']:,.0f} /s, ratio {found['ours'] / found['plain']:.2f};"
        f" the bare one with json.loads {beside['parsed']:,.0f} /s, with the client's checksum in Python"
        f" {beside['slow']:,.0f} /s; users by Zipf's law: {steep['ours']:,.0f} against {steep['bare']:,.0f} /s, ratio"
        f" {steep['ours'] / steep['bare']:.2f}"
    )
    rows = [_row(VS_BARE, found["ours"], "a bare kafka-python poll loop at its best", found["bare"], notes)]
    if quix is None:
        return [*rows, not_measured(VS_QUIX, f"ratio >= {_LEAST[VS_QUIX]:,g}", why)]
    notes = f"{told}; Quix at least once {beside['at-least-once']:,.0f} /s"
    return [*rows, _row(VS_QUIX, found["ours"], "Quix Streams, exactly once", found["exactly-once"], notes)]


def check(side: str, read: dict[str, int], ended: dict[str, int], kept: Path, events: Counter[str]) -> None:
    """Hold what one side read and kept against what the topic has.

    Raises:
        ResultsDifferError: they differ; the message says in what.
    """
    if read != ended:
        raise ResultsDifferError(f"{side} read up to {read}, the topic ends at {ended}")
    if side not in ("ours", *_QUIX):
        return
    lines = (line.split("\t") for line in kept.read_text().splitlines())
    found = {user: int(count) for user, count, *_ in lines}
    if found != events:
        wrong = sum(found.get(user) != events.get(user) for user in found.keys() | events.keys())
        raise ResultsDifferError(f"{side} kept {len(found):,} users, the topic has {len(events):,}; {wrong:,} differ")


def _row(name: str, ours: float, peer: str, theirs: float, note: str) -> Row:
    return comparison(name, ours, peer, theirs, "/s", ratio=ours / theirs, least=_LEAST[name], note=note)


def _quix_or_why(made: Callable[[], Path]) -> tuple[Path | None, str]:
    try:
        return made(), ""
    except NotMeasured as why:
        return None, str(why)


def _output(command: list[str]) -> dict[str, Any]:
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:4])} ended with {ran.returncode}: {ran.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result
