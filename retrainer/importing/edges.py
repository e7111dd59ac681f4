"""Blocks of a file become labels between two users; a row that says nothing usable is refused with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from numbers import Real
from typing import Any

from retrainer.importing.changes import BlockRows, RefusedRow
from retrainer.importing.errors import ImportRefused
from retrainer.importing.rows import whole
from retrainer.importing.sources import Block
from schemas.labels import LabelGroup, PairKey, pair_text
from stores.errors import ContractError
from stores.keys import user_key
from stores.label_store import LabelRows
from stores.labels.checks import check_labels
from stores.labels.local import Label, LocalLabelStore

SIMILAR = 1
"""What a row says where the file has no column for it: an edge between two users who are similar."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The file's columns, each None where the file has none."""

    user: str
    other: str
    label: str | None
    at: str | None
    weight: str | None


def columns_of(block: Block, group: LabelGroup, renamed: Mapping[str, str]) -> Columns:
    """The columns of a file of labels, by its first rows; `renamed` is as for users.

    Raises:
        ImportRefused: a user's column is missing, or one that was named.
    """
    names = {name: renamed.get(name, name) for name in (group.user_key, group.other_key)}
    missing = [named for named in names.values() if named not in block.columns]
    optional = {}
    for name in filter(None, (group.label, group.labelled_at, group.weight)):
        named = renamed.get(name, name)
        optional[name] = named if named in block.columns else None
        missing += [named] if name in renamed and optional[name] is None else []
    if missing:
        raise ImportRefused(
            f"the file of labels lacks {', '.join(missing)}; it has {', '.join(block.columns)}. --map says which "
            f"column is which, as in `--map {group.user_key}=follower`"
        )
    weight = optional[group.weight] if group.weight is not None else None
    return Columns(
        names[group.user_key], names[group.other_key], optional[group.label], optional[group.labelled_at], weight
    )


class Labels:
    """The labels of the local store, as the target of an import.

    Args:
        store: the local label store.
        group: its label group.
        columns: of the file.
        now: seconds since the epoch; the time of labels where the file has none.
    """

    def __init__(self, store: LocalLabelStore, group: LabelGroup, columns: Columns, now: float) -> None:
        self._store = store
        self._group = group
        self._columns = columns
        self._now = now

    def rows(self, block: Block) -> BlockRows[PairKey, Label]:
        """See Target."""
        refused: list[RefusedRow] = []
        at_of: dict[PairKey, int] = {}
        repeated = 0
        for at in range(len(block)):
            user, other = (
                user_key(whole(block.columns[name][at])) for name in (self._columns.user, self._columns.other)
            )
            if user is None or other is None:
                refused.append(RefusedRow(block.first + at + 1, None, "an end of the pair names no user"))
                continue
            repeated += (user, other) in at_of
            at_of[user, other] = at
        said = {pair: self._said(block, at) for pair, at in at_of.items()}
        labels = list(said.values())
        rows = LabelRows(
            list(said), [one.label for one in labels], [one.weight for one in labels], [one.at for one in labels]
        )
        checked = check_labels(self._group, rows)
        refused += [
            RefusedRow(block.first + at_of[pair] + 1, pair_text(pair), why) for pair, why in checked.refused.items()
        ]
        sound = {pair: said[pair] for pair in checked.pairs}
        return BlockRows(sound, sorted(refused, key=lambda one: one.number), repeated, frozenset(at_of))

    def stored(self, keys: Sequence[PairKey]) -> dict[PairKey, Label]:
        """See Target."""
        with suppress(ContractError):
            found = self._store.read(keys)
            rows: Any = zip(found.pairs, found.labels, found.times, found.weights, strict=True)
            return {pair: Label(label, at, weight) for pair, label, at, weight in rows}
        return {}

    def same(self, row: Label, stored: Label) -> bool:
        """See Target. Where the file has no times, the stored time is as good as any."""
        timed = self._columns.at is not None
        return (
            row.label == stored.label
            and (row.weight or 1.0) == (stored.weight or 1.0)
            and (not timed or row.at == stored.at)
        )

    def keys(self) -> Iterator[PairKey]:
        """See Target."""
        with suppress(ContractError):
            for rows in self._store.snapshot():
                yield from rows.pairs

    def commit(self, upserts: Mapping[PairKey, Label], deletes: Iterable[PairKey]) -> None:
        """See Target."""
        self._store.commit(upserts, deletes)

    def _said(self, block: Block, at: int) -> Label:
        columns = self._columns
        label = SIMILAR if columns.label is None else whole(block.columns[columns.label][at])
        when = self._now if columns.at is None else seconds(block.columns[columns.at][at])
        return Label(label, when, None if columns.weight is None else block.columns[columns.weight][at])


def seconds(value: Any) -> float | None:
    """A time as seconds since the epoch: of a number, a date, or a text in ISO 8601 (UTC where it names no zone)."""
    if isinstance(value, str):
        value = _time_in(value.strip())
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None


def _time_in(text: str) -> float | datetime | None:
    for reads in (float, datetime.fromisoformat):
        with suppress(ValueError):
            return reads(text)
    return None
