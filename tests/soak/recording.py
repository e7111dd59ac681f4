"""What a run left in its folder, as numbers: the moments it was looked at, and the trainers, cycles and stops of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MARGIN = 2.0
"""Seconds around a cycle that count as part of it: a sample takes a moment."""
_SETTLED_AFTER = 20.0
"""Seconds after which a waiting trainer has imported all it imports ahead of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One sample. Times are seconds from the first version on, sizes bytes."""

    at: float
    quiet: bool
    """No cycle ran and the broker was there, so that what is under way is not taken for what stays."""
    pid: int
    rss: int
    uss: int
    handles: int
    threads: int
    cpu: float
    waiting: int | None
    """Resident memory of the trainer that waits for the next cycle, once it has imported what it will."""
    waiting_handles: int | None
    """Its open handles."""
    ledger_file: int
    ledger_wal: int
    free: int
    """Pages of the ledger that hold nothing, in bytes."""
    tables: Mapping[str, int]
    """Bytes of each of the ledger's tables, indexes included."""
    rows: Mapping[str, int]
    work_files: int
    work_bytes: int
    registry_bytes: int
    log_bytes: int
    polled_ago: float | None
    """Seconds since the listener had polled, or had tried to reach the broker."""
    lag: int | None
    pending: int
    stored: int
    """Records that the ledger has accounted for, over all partitions."""


@dataclass(frozen=True, slots=True)
class Trainer:
    """One trainer process that ran a cycle: when it ended, the peak of its resident memory, CPU seconds, and the most
    handles and threads it was seen with."""

    ended: float
    peak: int
    cpu: float
    handles: int
    threads: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle of the ledger: when it was claimed and ended, and how."""

    claimed: float
    ended: float | None
    kind: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Scrape:
    """One request to the service: when it was made, of which path, milliseconds, and whether it was answered."""

    at: float
    path: str
    ms: float
    answered: bool


@dataclass(frozen=True, slots=True)
class Tab:
    """The browser's tab at a moment: bytes of JavaScript that are held, nodes of the document, errors since before."""

    at: float
    heap: int
    nodes: int
    errors: int


@dataclass(frozen=True, slots=True)
class Recording:
    """One run, from the first version on."""

    minutes: float
    moments: tuple[Moment, ...]
    trainers: tuple[Trainer, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    away: tuple[tuple[float, float], ...] = ()
    """From when to when the broker was not there."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    scrapes: tuple[Scrape, ...] = ()
    tab: tuple[Tab, ...] = ()

    @property
    def seconds(self) -> float:
        return 60 * self.minutes

    @property
    def watched(self) -> bool:
        """Whether a page was to be open, and scraped."""
        return bool(self.facts.get("watched"))


def recorded(folder: Path) -> Recording:
    """The recording of a run in `folder`; of what there is so far, if it still goes on."""
    facts = json.loads((folder / "run.json").read_text())
    began, minutes = facts["began"], facts["minutes"]
    away = _away(_lines(folder / "broker.jsonl"), began, 60 * minutes)
    cycles = _cycles(folder / "state" / "ledger.db", began)
    samples = [line for line in _lines(folder / "samples.jsonl") if line["consumer"]]
    return Recording(
        minutes=minutes,
        moments=tuple(_moment(line, began, cycles, away) for line in samples),
        trainers=tuple(
            Trainer(line["ended"] - began, line["peak"], line["cpu"], line["handles"], line["threads"])
            for line in _lines(folder / "trainers.jsonl")
        ),
        cycles=cycles,
        away=away,
        facts=facts,
        scrapes=tuple(
            Scrape(line["at"] - began, line["path"], line["ms"], line["failed"] is None)
            for line in _lines(folder / "scrapes.jsonl")
        ),
        tab=tuple(
            Tab(line["at"] - began, line["heap"], line["nodes"], len(line["errors"]))
            for line in _lines(folder / "tab.jsonl")
        ),
    )


def _moment(line: dict[str, Any], began: float, cycles: Sequence[Cycle], away: Sequence[tuple[float, float]]) -> Moment:
    at = line["at"] - began
    consumer, ledger = line["consumer"], line["ledger"]
    here = not any(since <= at <= until for since, until in away)
    idle = not any(cycle.claimed - _MARGIN <= at <= (cycle.ended or at) + _MARGIN for cycle in cycles)
    settled = [one for one in line["trainers"] if line["at"] - one["started"] > _SETTLED_AFTER]
    waiting = settled[0] if settled and idle else None
    return Moment(
        at=at,
        quiet=here and idle,
        pid=consumer["pid"],
        rss=consumer["rss"],
        uss=consumer["uss"],
        handles=consumer["handles"],
        threads=consumer["threads"],
        cpu=consumer["cpu"],
        waiting=waiting and waiting["rss"],
        waiting_handles=waiting and waiting["handles"],
        ledger_file=ledger["file"],
        ledger_wal=ledger["wal"],
        free=ledger["free"],
        tables=ledger["bytes"],
        rows=ledger["rows"],
        work_files=line["work"]["files"],
        work_bytes=line["work"]["bytes"],
        registry_bytes=line["registry"]["bytes"],
        log_bytes=line["service_log"],
        polled_ago=line["polled_ago"],
        lag=line["lag"],
        pending=ledger["pending"],
        stored=ledger["next"] or 0,
    )


def _away(marks: list[dict[str, Any]], began: float, end: float) -> tuple[tuple[float, float], ...]:
    stopped = [mark["at"] - began for mark in marks if mark["what"] == "stopped"]
    started = [mark["at"] - began for mark in marks if mark["what"] == "started"]
    return tuple(zip(stopped, [*started, end][: len(stopped)], strict=True))


def _cycles(ledger: Path, began: float) -> tuple[Cycle, ...]:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=10)) as db:
        rows = db.execute("SELECT claimed_at, ended_at, kind, state FROM cycles ORDER BY number").fetchall()
    return tuple(
        Cycle(claimed - began, None if ended is None else ended - began, kind, state)
        for claimed, ended, kind, state in rows
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    """Lines of JSON; a last one that is not whole yet is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
