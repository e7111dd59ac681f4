"""Pair labels in the local feature store's file: a table beside that of the users, and an outbox of its own.

As with users, only a commit creates files, and rows and their change events are one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from schemas.events import encode_label
from schemas.labels import LabelGroup, PairKey, pair_of, pair_text
from stores.errors import ContractError
from stores.features.local_file import Reading, Table, quoted
from stores.features.outbox import Outbox, OutboxEvent, committing
from stores.keys import user_key
from stores.label_store import LabelRows

_PAIRS_PER_QUERY = 400  # SQLite allows 999 parameters on old builds


class Label(NamedTuple):
    """What a commit writes of a pair: what the user did, when (seconds since the epoch), and its weight."""

    label: str | float | None
    at: float | None
    weight: float | None = None
    """None for 1; any other needs a group with a weight column."""


class LocalLabelStore:
    """A label group in a SQLite file. Any number of processes may read while one commits.

    Nothing is opened before it is used. Every method that reads raises ContractError where the file, the group's table
    or a column of it is missing. `untouched` readers leave no trace, see `stores.sqlite_readonly`.
    """

    def __init__(self, path: Path, group: LabelGroup, *, untouched: bool = False) -> None:
        self._untouched = untouched
        self._path = path
        self._weighted = group.weight is not None
        names = [group.user_key, group.other_key, group.label, group.labelled_at]
        names += [group.weight] if group.weight is not None else []
        self._described = Table(
            f"{group.name}_{group.version}",
            tuple(names),
            named_by="RETRAINER_LABELS__NAME and __VERSION",
            columns_named_by="RETRAINER_LABELS__USER_KEY, __OTHER_KEY, __LABEL, __WEIGHT and __LABELLED_AT",
        )
        self._table = quoted(self._described.name)
        self._columns = [quoted(name) for name in names]
        self._keys = ", ".join(self._columns[:2])
        self._select = f"SELECT {', '.join(self._columns)} FROM {self._table}"  # noqa: S608
        self._outbox = Outbox("label_outbox", lambda key: encode_label(group, pair_of(key)))
        self._reader: Reading | None = None
        self._writer: sqlite3.Connection | None = None

    def check_contract(self) -> None:
        """See LabelStore."""
        self._reading()

    def snapshot(self, changed: Collection[PairKey] = ()) -> Iterator[LabelRows]:  # noqa: ARG002  (there is one copy)
        """See LabelStore. A connection of its own holds one read transaction, so later commits stay unseen."""
        with closing(Reading(self._path, self._described, untouched=self._untouched)) as reading:
            yield from map(self._rows, reading.batches(self._select))

    def read(self, pairs: Sequence[PairKey]) -> LabelRows:
        """See LabelStore."""
        reading, wanted = self._reading(), list(dict.fromkeys(pairs))
        rows: list[tuple[object, ...]] = []
        for start in range(0, len(wanted), _PAIRS_PER_QUERY):
            part = wanted[start : start + _PAIRS_PER_QUERY]
            # A join: with IN and a list of pairs SQLite scans the whole table.
            asked = f"WITH asked (asked_user, asked_other) AS (VALUES {', '.join(['(?, ?)'] * len(part))})"
            query = f"{asked} {self._select} JOIN asked ON ({self._keys}) = (asked_user, asked_other)"
            rows += reading.all(query, [end for pair in part for end in pair])
        return self._rows(rows)

    def commit(self, upserts: Mapping[PairKey, Label], deletes: Iterable[PairKey] = ()) -> None:
        """Write labels and their change events in one transaction.

        Args:
            upserts: by the user and the other user.
            deletes: pairs to remove; unknown ones are announced too, as a real store may.

        Raises:
            ContractError: an end of a pair names nobody, or a weight is given and the group has no column for it;
                nothing is written.
        """
        removed = list(deletes)
        for pair in (*upserts, *removed):
            if not all(isinstance(end, str) and end for end in pair):
                raise ContractError(
                    f"{self._path}: {pair!r} is no pair of user ids, which are texts that are not empty"
                )
        if not self._weighted and any(label.weight is not None for label in upserts.values()):
            raise ContractError(f"{self._path}: a label has a weight; name its column with RETRAINER_LABELS__WEIGHT")
        marks = ", ".join("?" * len(self._columns))
        rows = [(*pair, *self._values(label)) for pair, label in upserts.items()]
        with self._writing() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES ({marks})", rows)  # noqa: S608
            db.executemany(f"DELETE FROM {self._table} WHERE ({self._keys}) = (?, ?)", removed)  # noqa: S608
            self._outbox.add(db, map(pair_text, upserts), map(pair_text, removed))

    def outbox(self, limit: int = 1000) -> list[OutboxEvent]:
        """The oldest events not yet published, in the order of their commits; none where nothing was ever committed."""
        if not self._path.exists():
            return []
        try:
            return self._outbox.waiting(self._reading(), limit)
        except ContractError:  # the file has users, but no labels yet
            return []

    def published(self, up_to: int) -> None:
        """Forget the events with an id of at most `up_to`; call it once the broker has acknowledged them."""
        self._outbox.forget(self._writing(), up_to)

    def count(self) -> int:
        """See LabelStore."""
        ((number,),) = self._reading().all(f"SELECT count(*) FROM {self._table}")  # noqa: S608
        return int(number)

    def close(self) -> None:
        """See LabelStore."""
        for opened in (self._reader, self._writer):
            if opened is not None:
                opened.close()
        self._reader = self._writer = None

    def _reading(self) -> Reading:
        if self._reader is None:
            self._reader = Reading(self._path, self._described, untouched=self._untouched)
        return self._reader

    def _writing(self) -> sqlite3.Connection:
        """The connection that commits; the first call makes what is missing."""
        if self._writer is None:
            user, other, *values = self._columns
            columns = f"{user} TEXT, {other} TEXT, {', '.join(values)}, PRIMARY KEY ({self._keys})"
            db = committing(self._path)
            db.execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({columns}) WITHOUT ROWID")
            self._outbox.create(db)
            self._writer = db
        return self._writer

    def _values(self, label: Label) -> tuple[object, ...]:
        return (label.label, label.at, label.weight) if self._weighted else (label.label, label.at)

    def _rows(self, found: Sequence[Sequence[object]]) -> LabelRows:
        rows = LabelRows([], [], [], [])
        keyless = 0
        for first, second, label, at, *weight in found:
            user, other = user_key(first), user_key(second)
            if user is None or other is None:
                keyless += 1
                continue
            rows.pairs.append((user, other))
            rows.labels.append(label)
            rows.weights.append(weight[0] if weight else 1.0)
            rows.times.append(float(at) if isinstance(at, int | float) else None)
        return LabelRows(rows.pairs, rows.labels, rows.weights, rows.times, keyless)
