"""Which cycle made which version of a local registry, told by the names in its folder: no manifest has to be read.

A version is noted before it is put in place, so each has its note, but those that an earlier release made, or a person
put there: they have none and are looked at one by one. A note proves nothing. Whoever finds a version by it reads that
version's manifest, so one whose version never came, or was deleted, does no harm.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from schemas.manifest import MANIFEST_FILE

_NOTE = re.compile(r"\.cycle-(?P<version>[0-9]+)-(?P<cycle_id>[A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Index:
    """The versions in a folder, and the notes beside them, as they were at one moment."""

    numbers: frozenset[int]
    """Of the versions."""
    notes: frozenset[tuple[int, str]]
    """A version and the cycle that made it, or was about to."""

    def of(self, cycle_id: str) -> list[int]:
        """Where to look for a cycle's version, the newest first: by its notes, and at all that have none."""
        noted = {version for version, _ in self.notes}
        by_note = {version for version, made_by in self.notes if made_by == cycle_id}
        return sorted(self.numbers & by_note | self.numbers - noted, reverse=True)

    def without_note(self) -> set[int]:
        """The versions that have no note."""
        return set(self.numbers - {version for version, _ in self.notes})

    def stray(self) -> Iterable[tuple[int, str]]:
        """The notes of versions that are not there."""
        return (note for note in self.notes if note[0] not in self.numbers)


def index_of(folder: Path) -> Index:
    """What the names in a folder say."""
    numbers: set[int] = set()
    notes: set[tuple[int, str]] = set()
    for name in os.listdir(folder):  # noqa: PTH208  (names are all that is wanted of what may be many thousands)
        if name.isdecimal():
            numbers.add(int(name))
        elif found := _NOTE.fullmatch(name):
            notes.add((int(found["version"]), found["cycle_id"]))
    return Index(frozenset(numbers), frozenset(notes))


def made_by(version: Path) -> str | None:
    """The cycle that a version's manifest names, at a glance; None where none can be read."""
    with suppress(OSError, msgspec.MsgspecError):
        return _GLANCE.decode((version / MANIFEST_FILE).read_bytes()).cycle_id
    return None


class _Made(msgspec.Struct):
    cycle_id: str


_GLANCE = msgspec.json.Decoder(_Made)


def note_in(folder: Path, version: int, cycle_id: str) -> Path | None:
    """The file that says which cycle made a version; None where the cycle's name is none for a file."""
    name = f".cycle-{version}-{cycle_id}"
    return folder / name if _NOTE.fullmatch(name) and len(name) < 200 else None
