"""Blocks of a file become users' rows; a row that is unfit for use is refused with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from retrainer.importing.changes import BlockRows, RefusedRow
from retrainer.importing.layout import vector
from retrainer.importing.sources import Block
from schemas.features import FeatureGroup
from stores.errors import ContractError
from stores.feature_store import FeatureRows, Floats
from stores.features.checks import check_rows
from stores.features.local import LocalFeatureStore
from stores.keys import user_key

Row = Mapping[str, Floats | None]


class Users:
    """The users of the local store, as the target of an import.

    Args:
        store: the local feature store.
        group: its feature group.
        key: the file's column of the user id.
        layout: for each column of the group the file's columns that it is made of.
    """

    def __init__(
        self, store: LocalFeatureStore, group: FeatureGroup, key: str, layout: Mapping[str, Sequence[str]]
    ) -> None:
        self._store = store
        self._group = group
        self._key = key
        self._layout = layout

    def rows(self, block: Block) -> BlockRows[str, Row]:
        """See Target."""
        refused: list[RefusedRow] = []
        at_of: dict[str, int] = {}
        repeated = 0
        for at, value in enumerate(block.columns.get(self._key, [None] * len(block))):
            user = user_key(whole(value))
            if user is None:
                refused.append(RefusedRow(block.first + at + 1, None, f"the key {value!r} names no user"))
                continue
            repeated += user in at_of
            at_of[user] = at
        columns = {
            name: [_joined(block, made_of, at) for at in at_of.values()] for name, made_of in self._layout.items()
        }
        checked = check_rows(self._group, FeatureRows(list(at_of), columns))
        refused += [RefusedRow(block.first + at_of[user] + 1, user, why) for user, why in checked.refused.items()]
        slices = self._group.slices()
        sound: dict[str, Row] = {
            user: {name: raw[where] for name, where in slices.items()}
            for user, raw in zip(checked.keys, checked.raw, strict=True)
        }
        return BlockRows(sound, sorted(refused, key=lambda one: one.number), repeated, frozenset(at_of))

    def stored(self, keys: Sequence[str]) -> dict[str, Row]:
        """See Target."""
        with suppress(ContractError):
            found = self._store.read(keys)
            return {
                user: {name: values[at] for name, values in found.columns.items()} for at, user in enumerate(found.keys)
            }
        return {}

    def same(self, row: Row, stored: Row) -> bool:
        """See Target."""
        return all(_same(values, stored[name]) for name, values in row.items())

    def keys(self) -> Iterator[str]:
        """See Target."""
        with suppress(ContractError):
            for rows in self._store.snapshot():
                yield from rows.keys

    def commit(self, upserts: Mapping[str, Row], deletes: Iterable[str]) -> None:
        """See Target."""
        self._store.commit(upserts, deletes)


def whole(value: Any) -> Any:
    """A number without a fraction is a whole one: a column of ids with a null in it is read as fractions."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _same(one: Floats | None, other: Floats | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _joined(block: Block, sources: Sequence[str], at: int) -> Floats | None:
    """The numbers of one row for one column of the group; None where one is missing, or is no number."""
    if len(sources) == 1:
        return vector(_value(block, sources[0], at))
    numbers = [_value(block, source, at) for source in sources]
    return None if any(number is None for number in numbers) else vector(numbers)


def _value(block: Block, column: str, at: int) -> Any:
    """A value of the block; a JSON row may lack a column that the first one had."""
    values = block.columns.get(column)
    return None if values is None else values[at]
