"""From what the SDK gives, Arrow batches or lists, to feature rows. Nothing is judged here: the check comes later."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from schemas.features import FeatureGroup
from trainer.features.keys import user_key
from trainer.features.protocol import FeatureRows, Floats

Decoder = Callable[[bytes], Any]


def from_batch(group: FeatureGroup, batch: Any, decoders: Mapping[str, Decoder] | None = None) -> FeatureRows:
    """The rows of one Arrow batch.

    Args:
        group: whose columns are taken.
        batch: a `pyarrow.RecordBatch`; arrays are lists, or bytes where they come from SQL.
        decoders: by column, what turns such bytes into numbers.
    """
    keys, sound = keyed(group, batch)
    columns = {
        column.name: _blocks(sound.column(column.name), (decoders or {}).get(column.name)) for column in group.columns
    }
    return FeatureRows(keys, columns, keyless=batch.num_rows - len(keys))


def keyed(group: FeatureGroup, batch: Any) -> tuple[list[str], Any]:
    """The user ids of an Arrow batch, and the rows that have one."""
    found = [user_key(value) for value in batch.column(group.primary_key).to_pylist()]
    keys = [key for key in found if key is not None]
    if len(keys) == len(found):
        return keys, batch
    return keys, batch.filter(pa.array([key is not None for key in found], pa.bool_()))


def from_lists(group: FeatureGroup, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> FeatureRows:
    """Rows that are lists of values in the order of `names`."""
    given = list(rows)
    at = {name: place for place, name in enumerate(names)}
    taken = [(key, row) for row in given if (key := user_key(row[at[group.primary_key]])) is not None]
    columns = {one.name: [as_block(row[at[one.name]]) for _, row in taken] for one in group.columns}
    return FeatureRows([key for key, _ in taken], columns, keyless=len(given) - len(taken))


def as_block(values: Any) -> Floats | None:
    """A list or a number as a block; None where it is missing, NaN for what is missing inside."""
    if values is None:
        return None
    listed = values if isinstance(values, list | tuple | np.ndarray) else [values]
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which the check refuses
        return np.array([np.nan if value is None else value for value in listed], dtype=np.float32)


def only(rows: FeatureRows, wanted: Callable[[str], bool]) -> FeatureRows:
    """Those rows whose key is wanted; one without a key is nobody's."""
    kept = [place for place, key in enumerate(rows.keys) if wanted(key)]
    if len(kept) == len(rows.keys) and not rows.keyless:
        return rows
    return FeatureRows(
        [rows.keys[place] for place in kept],
        {name: [blocks[place] for place in kept] for name, blocks in rows.columns.items()},
    )


def joined(group: FeatureGroup, parts: Iterable[FeatureRows]) -> FeatureRows:
    """Several parts as one."""
    all_of = list(parts)
    return FeatureRows(
        [key for part in all_of for key in part.keys],
        {one.name: [block for part in all_of for block in part.columns[one.name]] for one in group.columns},
        keyless=sum(part.keyless for part in all_of),
    )


def avro_decoders(record_schema: str) -> dict[str, Decoder]:
    """How the bytes of each complex column are read, from the Avro schema of the group's records."""
    fields = json.loads(record_schema)["fields"]
    return {field["name"]: _decoder(fastavro.parse_schema(field["type"])) for field in fields}


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
    """Slices of one float32 array, so that a batch costs a copy and not a Python number for each number in it."""
    numbers = column.values.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    ends: list[int] = column.offsets.to_pylist()
    valid: list[bool] = column.is_valid().to_pylist()
    return [numbers[ends[at] : ends[at + 1]] if there else None for at, there in enumerate(valid)]
