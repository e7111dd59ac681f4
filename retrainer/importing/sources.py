"""Files in blocks of rows, whatever their format. Memory holds one block, and of a `.npz` file its arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrainer.importing.errors import ImportRefused

BLOCK = 4096
"""Rows that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows: `columns[name][i]` is a value of row `first + i`, None where it is null.

    A vector is a NumPy array; any other value is as the format has it.
    """

    first: int
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and how its blocks are read."""

    path: Path
    rows: int | None
    """How many rows there are; None where only reading tells."""
    blocks: Callable[[], Iterator[Block]]


def source(path: Path, keys: tuple[str, ...]) -> Source:
    """The file as a source of rows; its name says the format. Columns in `keys` stay text where a format guesses.

    Raises:
        ImportRefused: there is no such file, or its format is none of ours. Reading a block raises it, too, where the
            file is damaged.
    """
    if not path.is_file():
        raise ImportRefused(f"there is no file {path}")
    kinds: dict[str, Callable[[Path, tuple[str, ...]], Source]] = {
        ".parquet": _parquet,
        ".csv": _csv,
        ".npz": _npz,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
    }
    if (kind := kinds.get(path.suffix.lower())) is None:
        raise ImportRefused(f"{path}: the format is told by the name, which ends in one of {', '.join(kinds)}")
    return kind(path, keys)


def first_rows(file: Source) -> Block:
    """The first rows of a file.

    Raises:
        ImportRefused: there are none.
    """
    found = next(file.blocks(), None)
    if found is None or not len(found):
        raise ImportRefused(f"{file.path} has no rows")
    return found


def _parquet(path: Path, _keys: tuple[str, ...]) -> Source:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            rows = file.metadata.num_rows
    except (ArrowException, OSError) as error:
        raise _damaged(path, error) from None

    def blocks() -> Iterator[Block]:
        first = 0
        try:
            with ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BLOCK):
                    yield _of_arrow(first, batch)
                    first += batch.num_rows
        except (ArrowException, OSError) as error:
            raise _damaged(path, error) from None

    return Source(path, rows, blocks)


def _csv(path: Path, keys: tuple[str, ...]) -> Source:
    from pyarrow import ArrowException, csv, string

    def blocks() -> Iterator[Block]:
        first = 0
        as_text = csv.ConvertOptions(column_types=dict.fromkeys(keys, string()), strings_can_be_null=True)
        try:
            for batch in csv.open_csv(path, convert_options=as_text):
                for start in range(0, batch.num_rows, BLOCK):
                    part = batch.slice(start, BLOCK)
                    yield _of_arrow(first, part)
                    first += part.num_rows
        except (ArrowException, OSError) as error:
            raise _damaged(path, error) from None

    return Source(path, None, blocks)


def _npz(path: Path, _keys: tuple[str, ...]) -> Source:
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from None
    lengths = {name: array.shape[0] if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or any(array.ndim > 2 for array in arrays.values()):
        told = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ImportRefused(f"{path}: each array holds a row for each user, and one or two dimensions; it has {told}")
    rows = next(iter(lengths.values()))

    def blocks() -> Iterator[Block]:
        for first in range(0, rows, BLOCK):
            part = {name: array[first : first + BLOCK] for name, array in arrays.items()}
            yield Block(first, {name: list(one) if one.ndim == 2 else one.tolist() for name, one in part.items()})

    return Source(path, rows, blocks)


def _json_lines(path: Path, _keys: tuple[str, ...]) -> Source:
    def blocks() -> Iterator[Block]:
        rows: list[dict[str, Any]] = []
        first = 0
        with path.open(encoding="utf-8-sig") as file:
            try:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        rows.append(_json_row(path, number, line))
                    if len(rows) == BLOCK:
                        yield _of_dicts(first, rows)
                        first, rows = first + len(rows), []
            except UnicodeDecodeError:
                raise ImportRefused(f"{path}: is not text in UTF-8") from None
        if rows:
            yield _of_dicts(first, rows)

    return Source(path, None, blocks)


def _json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ImportRefused(f"{path}: line {number} is no JSON: {error}") from None
    if not isinstance(row, dict):
        raise ImportRefused(f"{path}: line {number} is no JSON object")
    return row


def _of_dicts(first: int, rows: list[dict[str, Any]]) -> Block:
    names = dict.fromkeys(name for row in rows for name in row)
    return Block(first, {name: [row.get(name) for row in rows] for name in names})


def _of_arrow(first: int, batch: Any) -> Block:
    return Block(first, {name: _values(batch.column(name)) for name in batch.schema.names})


def _values(column: Any) -> list[Any]:
    """The values of an Arrow array; lists of numbers as arrays, without a Python object for each number."""
    from pyarrow import types

    kind = column.type
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not is_list or not (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)):
        found: list[Any] = column.to_pylist()
        return found
    flat = column.flatten().to_numpy(zero_copy_only=False)
    lengths = [0 if length is None else length for length in column.value_lengths().to_pylist()]
    ends = np.cumsum(lengths)
    present = column.is_valid().to_pylist()
    return [
        flat[end - length : end] if there else None for end, length, there in zip(ends, lengths, present, strict=True)
    ]


def _damaged(path: Path, error: Exception) -> ImportRefused:
    return ImportRefused(
        f"{path}: cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    )
