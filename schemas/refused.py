"""Whom a cycle refused, and why: all of them, in a file beside the result, which names only the first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from schemas.cycle import CycleResult, LabelReport, ReadReport, RefusedKind
from schemas.labels import PairKey, pair_text

REFUSED_FILE = "refused.jsonl"
"""A line for each: `["user", id, reason]`, or `["label", pair, reason]` with the pair as `pair_text` has it."""

NAMED = 100
"""How many a result names, of each kind."""

What = Literal["user", "label"]
USER: What = "user"
LABEL: What = "label"


class Refused(Protocol):
    """Rows that a cycle found unfit for use."""

    def of(self, what: What) -> Iterator[tuple[str, str]]:
        """Users, or labels by `pair_text`, each with the reason. It may be asked for again."""

    def complete(self, what: What) -> bool:
        """Whether these are all."""


@dataclass(frozen=True, slots=True)
class RefusedInFile:
    """All of them, read as they are needed: they may be a million."""

    path: Path

    def of(self, what: What) -> Iterator[tuple[str, str]]:
        """See Refused."""
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                with suppress(ValueError):  # half a line, of whatever befell the disk
                    kind, key, reason = json.loads(line)
                    if kind == what:
                        yield key, reason

    def complete(self, what: What) -> bool:  # noqa: ARG002  (of both)
        """See Refused."""
        return True


@dataclass(frozen=True, slots=True)
class RefusedByName:
    """Those that a result names, at most a hundred of each: all there is to go by where the file is elsewhere."""

    result: CycleResult

    def of(self, what: What) -> Iterator[tuple[str, str]]:
        """See Refused."""
        report = self._report(what)
        yield from report.refused.items() if report is not None else ()

    def complete(self, what: What) -> bool:
        """See Refused."""
        report = self._report(what)
        return report is None or len(report.refused) < NAMED

    def _report(self, what: What) -> ReadReport | LabelReport | None:
        return self.result.read if what == USER else self.result.labels


def refused_by(result: CycleResult, folder: Path) -> Refused:
    """Whom the cycle refused that left its result, and the file beside it, in `folder`."""
    file = folder / REFUSED_FILE
    return RefusedInFile(file) if result.read is not None and file.exists() else RefusedByName(result)


def kinds_of(kinds: Mapping[RefusedKind, int], keyless: int) -> dict[RefusedKind, int]:
    """How many rows were refused for what, the keyless ones among them; what did not happen is left out."""
    counts = {**kinds, RefusedKind.KEYLESS: keyless}
    return {kind: counts[kind] for kind in RefusedKind if counts.get(kind)}


def write_refused(file: IO[bytes], users: Mapping[str, str], labels: Mapping[PairKey, str]) -> None:
    """Write all of them."""
    pairs = ((pair_text(pair), why) for pair, why in labels.items())
    _write(file, USER, users.items())
    _write(file, LABEL, pairs)


def _write(file: IO[bytes], what: What, refused: Iterable[tuple[str, str]]) -> None:
    for key, reason in refused:
        file.write(json.dumps([what, key, reason]).encode() + b"\n")
