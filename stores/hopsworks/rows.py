"""Turns the SDK's Arrow batches and lists into rows by key. Nothing is checked here: checks come later."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from schemas.events import Group, key_columns, value_columns
from schemas.labels import LabelGroup, pair_text
from stores.feature_store import Floats
from stores.keys import user_key

Decoder = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a group: `columns[name][i]` belongs to `keys[i]`, a user's id or the `pair_text` of a label.

    A cell of a feature group is a block of numbers, or None; a cell of a label group is the SDK's value. `keyless` is
    the number of rows that were left out because their key names nobody.
    """

    keys: list[str]
    columns: dict[str, list[Any]]
    keyless: int = 0


def from_batch(group: Group, batch: Any, decoders: Mapping[str, Decoder] | None = None) -> Rows:
    """The rows of one Arrow batch.

    Args:
        group: whose columns are taken.
        batch: a `pyarrow.RecordBatch`; arrays are lists, or bytes where they come from SQL.
        decoders: functions that turn such bytes into numbers, by column.
    """
    keys, sound = keyed(group, batch)
    columns = {name: sound.column(name) for name in value_columns(group)}
    if isinstance(group, LabelGroup):
        cells: dict[str, list[Any]] = {name: column.to_pylist() for name, column in columns.items()}
    else:
        cells = {name: _blocks(column, (decoders or {}).get(name)) for name, column in columns.items()}
    return Rows(keys, cells, keyless=batch.num_rows - len(keys))


def keyed(group: Group, batch: Any) -> tuple[list[str], Any]:
    """The keys of an Arrow batch, and the rows that have one."""
    found = list(map(_key, zip(*(batch.column(name).to_pylist() for name in key_columns(group)), strict=True)))
    keys = [key for key in found if key is not None]
    if len(keys) == len(found):
        return keys, batch
    return keys, batch.filter(pa.array([key is not None for key in found], pa.bool_()))


def from_lists(group: Group, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Rows:
    """Rows that are lists of values in the order of `names`."""
    given = list(rows)
    at = {name: place for place, name in enumerate(names)}
    places, cell = [at[name] for name in key_columns(group)], _as_it_is if isinstance(group, LabelGroup) else as_block
    taken = [(key, row) for row in given if (key := _key([row[place] for place in places])) is not None]
    columns: dict[str, list[Any]] = {name: [cell(row[at[name]]) for _, row in taken] for name in value_columns(group)}
    return Rows([key for key, _ in taken], columns, keyless=len(given) - len(taken))


def as_block(values: Any) -> Floats | None:
    """A list or a number as a block; None where it is missing, NaN for what is missing inside."""
    if values is None:
        return None
    listed = values if isinstance(values, list | tuple | np.ndarray) else [values]
    with np.errstate(over="ignore"):  # a number that is too large becomes infinite, and the check refuses it
        return np.array([np.nan if value is None else value for value in listed], dtype=np.float32)


def only(rows: Rows, wanted: Callable[[str], bool]) -> Rows:
    """The rows whose key is wanted; rows without a key are dropped."""
    kept = [place for place, key in enumerate(rows.keys) if wanted(key)]
    if len(kept) == len(rows.keys) and not rows.keyless:
        return rows
    return Rows(
        [rows.keys[place] for place in kept],
        {name: [blocks[place] for place in kept] for name, blocks in rows.columns.items()},
    )


def joined(group: Group, parts: Iterable[Rows]) -> Rows:
    """Several parts as one."""
    all_of = list(parts)
    return Rows(
        [key for part in all_of for key in part.keys],
        {name: [cell for part in all_of for cell in part.columns[name]] for name in value_columns(group)},
        keyless=sum(part.keyless for part in all_of),
    )


def avro_decoders(record_schema: str) -> dict[str, Decoder]:
    """Functions that read the bytes of each complex column, from the Avro schema of the group's records."""
    fields = json.loads(record_schema)["fields"]
    return {field["name"]: _decoder(fastavro.parse_schema(field["type"])) for field in fields}


def _key(values: Sequence[object]) -> str | None:
    """The key that the values of a primary key make; None where one of them names nobody."""
    ends = [end for value in values if (end := user_key(value)) is not None]
    if len(ends) < len(values):
        return None
    return ends[0] if len(ends) == 1 else pair_text((ends[0], ends[1]))


def _as_it_is(value: Any) -> Any:
    return value


def _decoder(schema: Any) -> Decoder:
    return lambda raw: fastavro.schemaless_reader(io.BytesIO(raw), schema, None)


def _blocks(column: Any, decode: Decoder | None) -> list[Floats | None]:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _of_lists(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        assert decode is not None
        return [None if raw is None else as_block(decode(raw)) for raw in column.to_pylist()]
    return [as_block(value) for value in column.to_pylist()]


def _of_lists(column: Any) -> list[Floats | None]:
    """Slices of one float32 array: a batch costs one copy, and no Python object for each number."""
    numbers = column.values.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    ends: list[int] = column.offsets.to_pylist()
    valid: list[bool] = column.is_valid().to_pylist()
    return [numbers[ends[at] : ends[at + 1]] if there else None for at, there in enumerate(valid)]
