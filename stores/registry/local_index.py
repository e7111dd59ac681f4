"""Which cycle made which version of a local registry, by the file names in its folder, without reading manifests.

A note, an empty file, is written before its version is put in place. Versions of an earlier release, or put there by a
person, have no note and are looked at one by one. A note proves nothing: a reader that finds a version by its note
reads the manifest of the version. So a note whose version never came, or was deleted, does no harm.
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
    """The versions in a folder, and the notes beside them, at one moment."""

    numbers: frozenset[int]
    """Of the versions."""
    notes: frozenset[tuple[int, str]]
    """A version and the cycle that made it, or was about to."""

    def of(self, cycle_id: str) -> list[int]:
        """The versions that may be a cycle's, the newest first: by their notes, and all without a note."""
        noted = {version for version, _ in self.notes}
        by_note = {version for version, made_by in self.notes if made_by == cycle_id}
        return sorted(self.numbers & by_note | self.numbers - noted, reverse=True)

    def without_note(self) -> set[int]:
        """The versions that have no note."""
        return set(self.numbers - {version for version, _ in self.notes})

    def stray(self) -> Iterable[tuple[int, str]]:
        """The notes whose version is not there."""
        return (note for note in self.notes if note[0] not in self.numbers)


def index_of(folder: Path) -> Index:
    """The index of a folder, by its file names."""
    numbers: set[int] = set()
    notes: set[tuple[int, str]] = set()
    for name in os.listdir(folder):  # noqa: PTH208  (only names are needed, of maybe many thousands)
        if name.isdecimal():
            numbers.add(int(name))
        elif found := _NOTE.fullmatch(name):
            notes.add((int(found["version"]), found["cycle_id"]))
    return Index(frozenset(numbers), frozenset(notes))


def made_by(version: Path) -> str | None:
    """The cycle that a version's manifest names, without reading the rest; None where it cannot be read."""
    with suppress(OSError, msgspec.MsgspecError):
        return _GLANCE.decode((version / MANIFEST_FILE).read_bytes()).cycle_id
    return None


class _Made(msgspec.Struct):
    cycle_id: str


_GLANCE = msgspec.json.Decoder(_Made)


def note_in(folder: Path, version: int, cycle_id: str) -> Path | None:
    """The path of a note; None where the cycle's id cannot be part of a file name."""
    name = f".cycle-{version}-{cycle_id}"
    return folder / name if _NOTE.fullmatch(name) and len(name) < 200 else None
