"""What a file says and the store does not is committed, block by block: rows, and their change events beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from retrainer.importing.sources import Block, Source

K = TypeVar("K")
V = TypeVar("V")

MOST_REFUSED = 1000
"""Refused rows that are named; the others are only counted."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is not imported."""

    number: int
    """Counted from 1."""
    key: str | None
    """None where the row names no user, or no pair of them."""
    reason: str


@dataclass(frozen=True, slots=True)
class BlockRows(Generic[K, V]):
    """The rows of a block, by user or by pair; of two rows with one key the later one."""

    sound: dict[K, V]
    refused: list[RefusedRow]
    repeated: int
    """Rows that a later one of the same block replaces."""
    named: frozenset[K]
    """Every key that the block names, refused or not."""


class Target(Protocol[K, V]):
    """Where an import goes: the users of the local store, or its labels."""

    def rows(self, block: Block) -> BlockRows[K, V]:
        """The rows of a block."""

    def stored(self, keys: Sequence[K]) -> Mapping[K, V]:
        """What the store has of these keys; nothing where there is no store yet."""

    def same(self, row: V, stored: V) -> bool:
        """Whether a row says nothing new."""

    def keys(self) -> Iterator[K]:
        """All keys of the store."""

    def commit(self, upserts: Mapping[K, V], deletes: Iterable[K]) -> None:
        """Write rows, remove others, and note the change events of both."""


@dataclass(slots=True)
class Imported:
    """What came of a file."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    repeated: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    """The first of them."""
    refused_rows: int = 0


def bring(
    source: Source,
    target: Target[K, V],
    *,
    delete_missing: bool,
    dry_run: bool,
    committed: Callable[[int], None],
) -> Imported:
    """Bring a store to what a file says. Rows that are the same are left alone, and announce nothing.

    Args:
        source: the file.
        target: the store.
        delete_missing: remove what the file does not name. What it names in a row that is refused stays.
        dry_run: only say what would be done.
        committed: called with the number of rows that are dealt with, after each block.
    """
    found = Imported()
    named: set[K] = set()
    for block in source.blocks():
        rows = target.rows(block)
        stored = target.stored(list(rows.sound))
        other = {key: row for key, row in rows.sound.items() if key not in stored or not target.same(row, stored[key])}
        if other and not dry_run:
            target.commit(other, ())
        found.rows += len(block)
        found.new += sum(key not in stored and key not in named for key in other)
        found.changed += sum(key in stored for key in other)
        found.unchanged += len(rows.sound) - len(other)
        found.repeated += rows.repeated + len(named & rows.named)
        found.refused_rows += len(rows.refused)
        found.refused += rows.refused[: MOST_REFUSED - len(found.refused)]
        named |= rows.named
        committed(found.rows)
    if delete_missing:
        gone = [key for key in target.keys() if key not in named]  # noqa: SIM118  (no mapping)
        if gone and not dry_run:
            target.commit({}, gone)
        found.deleted = len(gone)
    return found
