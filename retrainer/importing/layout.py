"""Which columns of a file are those of the feature group, and which settings would fit a file that is unlike it.

A vector is one column of lists, one of texts such as `[0.1, 0.2]`, or several numbered columns (`taste_0`, `taste_1`).
A number is a vector of length one. What is neither is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from retrainer.importing.errors import ImportRefused
from retrainer.importing.sources import Block
from schemas.features import Column, FeatureGroup

_NUMBERED = re.compile(r"(?P<name>.+?)[_.\-]?(?P<number>\d+)")
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Found:
    """A vector that a file has: its name, the columns it is made of, its length in the first row that has it."""

    name: str
    columns: tuple[str, ...]
    length: int


def found_in(block: Block, key: str) -> list[Found]:
    """The vectors and numbers of a file, by its first rows, in the order of its columns.

    Raises:
        ImportRefused: the file has no column `key`.
    """
    if key not in block.columns:
        raise ImportRefused(
            f"there is no column '{key}' for the user id; --key names it. The file has {_named(block.columns)}"
        )
    lengths = {name: length for name, values in block.columns.items() if name != key and (length := _length(values))}
    vectors: dict[str, Found] = {}
    for name, columns in _numbered([name for name, length in lengths.items() if length == 1]).items():
        vectors[columns[0]] = Found(name, columns, len(columns))
    joined = {column for found in vectors.values() for column in found.columns}
    for name, length in lengths.items():
        if name not in joined:
            vectors[name] = Found(name, (name,), length)
    return [vectors[name] for name in lengths if name in vectors]


def layout(group: FeatureGroup, found: Sequence[Found], renamed: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """For each column of the feature group the file's columns that it is made of.

    Args:
        group: the configured feature group.
        found: what the file has.
        renamed: the file's name of a column, by the group's, where they differ.

    Raises:
        ImportRefused: a column of the group is missing, or has another length; the message proposes settings.
    """
    by_name = {one.name: one for one in found}
    made: dict[str, tuple[str, ...]] = {}
    wrong = []
    for column in group.columns:
        there = by_name.get(renamed.get(column.name, column.name))
        if there is None:
            wrong.append(f"{renamed.get(column.name, column.name)} is missing")
        elif there.length != column.length:
            wrong.append(f"{there.name} has {there.length} numbers, not {column.length}")
        else:
            made[column.name] = there.columns
    if wrong:
        raise ImportRefused(f"the file does not fit the feature group {group.name}: {'; '.join(wrong)}")
    return made


def proposal(found: Sequence[Found], key: str) -> str:
    """The settings by which all vectors of a file become the feature group, as lines of the TOML file."""
    columns = [Column(name=one.name.replace("/", "_"), length=one.length) for one in found]
    rows = "\n".join(f"  {{ name = {json.dumps(one.name)}, length = {one.length} }}," for one in columns)
    return f"[feature_group]\nprimary_key = {json.dumps(key)}\ncolumns = [\n{rows}\n]"


def vector(value: Any) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """A value as float32 numbers, of a list, of one number, or of a text that holds a list; None where it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, bool) or value is None:
        return None
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32) if numbers.ndim == 1 else None


def _length(values: Sequence[Any]) -> int:
    """The length of the first vector among the values, 1 for numbers; 0 where they are something else."""
    for value in values:
        if value is None:
            continue
        if isinstance(value, Real) and not isinstance(value, bool):
            return 1
        looks = isinstance(value, list | np.ndarray) or (isinstance(value, str) and value.lstrip().startswith("["))
        numbers = vector(value) if looks else None
        return 0 if numbers is None else numbers.size
    return 0


def _numbered(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names that differ by a number alone, which counts from 0 or 1 without a gap; two at least make a vector."""
    by_name: dict[str, dict[int, str]] = {}
    for name in names:
        if match := _NUMBERED.fullmatch(name):
            by_name.setdefault(match["name"], {})[int(match["number"])] = name
    found = {}
    for name, numbers in by_name.items():
        order = sorted(numbers)
        if len(order) > 1 and order[0] in {0, 1} and order == list(range(order[0], order[0] + len(order))):
            found[name] = tuple(numbers[number] for number in order)
    return found


def _named(columns: Mapping[str, Any]) -> str:
    names = list(columns)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(names[:_MOST_NAMED])}{more}" if names else "no columns"
