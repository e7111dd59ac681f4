"""Reads users for a cycle: in batches, checked, with counts of deleted and refused users.

A store without users, or without sound rows, does not mean that all users were deleted: the volume is not mounted, a
name is misspelt, or the writer is broken. So it is an error with every adapter, and settles no user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from schemas.cycle import ReadReport
from schemas.features import FeatureGroup
from schemas.refused import NAMED, kinds_of
from stores.errors import ContractError
from stores.feature_store import FeatureRows, FeatureStore
from stores.features.checks import CheckedRows, check_rows
from stores.scratch import MEMORY, Scratch

_KEYS_PER_READ = 5000
_NEARLY_ALL = 0.9  # share of rows with another length from which on the contract is wrong, and not the rows


def read_all(
    store: FeatureStore,
    group: FeatureGroup,
    changed: Collection[str],
    tick: Callable[[int], None],
    scratch: Scratch = MEMORY,
) -> CheckedRows:
    """Every user, those of `changed` certainly as they are now; `tick` gets the number read so far.

    Many rows lie in a file of `scratch`.

    Raises:
        ContractError: there are no users, no sound rows, or nearly all have a column of another length.
    """
    rows = _joined(_checked(store.snapshot(changed), group, tick), group, scratch)
    _believe(rows, group)
    return rows


def read_users(
    store: FeatureStore, group: FeatureGroup, users: Sequence[str], tick: Callable[[int], None]
) -> CheckedRows:
    """The given users, as far as they exist.

    Raises:
        ContractError: none of them has a sound row, and nor does anybody else, as of `read_all`.
    """
    parts = (store.read(users[at : at + _KEYS_PER_READ]) for at in range(0, len(users), _KEYS_PER_READ))
    rows = _joined(_checked(parts, group, tick), group)
    if users and not rows.keys:
        _look_around(store, group, users)
    return rows


def absent(users: Iterable[str], rows: CheckedRows) -> list[str]:
    """The users of `users` that the store does not have: they are deleted."""
    found = set(rows.keys) | rows.refused.keys()
    return [user for user in users if user not in found]


def read_report(rows: CheckedRows, deleted: int, *, whole: bool = False) -> ReadReport:
    """The counts, with the first refusals by name; `whole` where all users of the group were read."""
    return ReadReport(
        accepted=len(rows.keys),
        deleted=deleted,
        refused=dict(islice(rows.refused.items(), NAMED)),
        refused_total=len(rows.refused),
        keyless=rows.keyless,
        refused_kinds=kinds_of(rows.kinds, rows.keyless),
        whole=whole,
    )


def _look_around(store: FeatureStore, group: FeatureGroup, users: Collection[str]) -> None:
    """Look for any sound row: where there is one, it is believable that the users asked for are gone."""
    batches = store.snapshot(users)
    seen: list[CheckedRows] = []
    try:
        for part in _checked(batches, group, lambda _read: None):
            if part.keys:
                return
            seen.append(part)
    finally:
        if isinstance(batches, Generator):
            batches.close()  # ends a stream that was not read to its end
    _believe(_joined(seen, group), group)


def _believe(rows: CheckedRows, group: FeatureGroup) -> None:
    """Raise where a whole snapshot cannot be that of the configured group."""
    name, total = f"feature group {group.name}, version {group.version},", len(rows.keys) + len(rows.refused)
    if total == 0:
        only = f" but {rows.keyless} rows without a user id" if rows.keyless else ""
        raise ContractError(
            f"{name} holds no users{only}: has its writer run, and do RETRAINER_FEATURE_GROUP__… and "
            "RETRAINER_FEATURE_STORE__… name the right one? Nobody counts as deleted"
        )
    for (column, length), count in rows.lengths.most_common(1):
        if count >= _NEARLY_ALL * total:
            wanted = next(one.length for one in group.columns if one.name == column)
            raise ContractError(
                f"{name} has {length} numbers in {column} of {count} of {total} users, not {wanted}: "
                "set RETRAINER_FEATURE_GROUP__COLUMNS to what is stored, or have the rows written again"
            )
    if not rows.keys:
        ((reason, count),) = Counter(rows.refused.values()).most_common(1)
        raise ContractError(
            f"{name} has nobody who can be learned: all {total} users are refused, {count} of them as {reason}; "
            "have the rows written again, or set RETRAINER_FEATURE_GROUP__COLUMNS to what is stored"
        )


def _checked(batches: Iterable[FeatureRows], group: FeatureGroup, tick: Callable[[int], None]) -> Iterator[CheckedRows]:
    read = 0
    for batch in batches:
        part = check_rows(group, batch)
        read += len(part.keys)
        tick(read)
        yield part


def _joined(parts: Iterable[CheckedRows], group: FeatureGroup, scratch: Scratch = MEMORY) -> CheckedRows:
    found, raw = CheckedRows([], np.empty((0, group.width), np.float32), {}), scratch.growing(np.float32)
    keyless = 0
    for part in parts:
        found.keys.extend(part.keys)
        raw.append(part.raw.ravel())
        found.refused.update(part.refused)
        keyless += part.keyless
        found.lengths.update(part.lengths)
        found.kinds.update(part.kinds)
    return replace(found, raw=raw.array().reshape(-1, group.width), keyless=keyless)
