"""The check that every raw row passes before it is used: right length, all finite, no block missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from schemas.cycle import RefusedKind
from schemas.features import FeatureGroup
from stores.feature_store import FeatureRows, Floats

_LARGEST = 1e15  # squares of larger numbers overflow in float32, in which the saved model computes


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """Sound rows: `raw` is (len(keys), width), blocks in contract order. `refused` is the reason by user."""

    keys: list[str]
    raw: Floats
    refused: dict[str, str]
    keyless: int = 0
    """Rows whose key names no user: refused, too, but without a user to name."""
    lengths: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Number of rows with a block of another length than configured, by column and length."""
    kinds: Counter[RefusedKind] = field(default_factory=Counter)
    """Number of refused rows by the kind of the reason, without the keyless ones."""


def check_rows(group: FeatureGroup, rows: FeatureRows) -> CheckedRows:
    """Concatenate the blocks of each sound row, and refuse the other rows, each with a reason."""
    raw = np.zeros((len(rows.keys), group.width), dtype=np.float32)
    refused: dict[str, str] = {}
    kinds: Counter[RefusedKind] = Counter()
    lengths: Counter[tuple[str, int]] = Counter()
    slices = group.slices()

    def refuse(key: str, kind: RefusedKind, why: str) -> None:
        """The first reason counts."""
        if key not in refused:
            refused[key] = why
            kinds[kind] += 1

    for column in group.columns:
        for at, (key, block) in enumerate(zip(rows.keys, rows.columns[column.name], strict=True)):
            if block is None:
                refuse(key, RefusedKind.MISSING, f"{column.name} is missing")
            elif block.shape != (column.length,):
                refuse(key, RefusedKind.LENGTH, f"{column.name} has {block.size} numbers, not {column.length}")
                lengths[column.name, block.size] += 1
            else:
                raw[at, slices[column.name]] = block
    usable = np.abs(raw) < _LARGEST  # which NaN is not
    for at in np.flatnonzero(~usable.all(axis=1)).tolist():
        bad = next(name for name, where in slices.items() if not usable[at, where].all())
        why = f"{bad} has a number that is not finite, or too large to be scaled"
        refuse(rows.keys[at], RefusedKind.NOT_FINITE, why)
    sound = [at for at, key in enumerate(rows.keys) if key not in refused]
    return CheckedRows([rows.keys[at] for at in sound], raw[sound], refused, rows.keyless, lengths, kinds)
