"""Reading users for a cycle: in batches, checked, with a count of what was deleted and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

import numpy as np

from schemas.cycle import ReadReport
from schemas.features import FeatureGroup
from trainer.features.checks import CheckedRows, check_rows
from trainer.features.protocol import FeatureRows, FeatureStore

_KEYS_PER_READ = 5000
_REFUSED_NAMED = 100


def read_all(
    store: FeatureStore, group: FeatureGroup, changed: Collection[str], tick: Callable[[int], None]
) -> CheckedRows:
    """Every user, `changed` ones for certain as they are now; `tick` hears how many were read so far."""
    return _checked(store.snapshot(changed), group, tick)


def read_users(
    store: FeatureStore, group: FeatureGroup, users: Sequence[str], tick: Callable[[int], None]
) -> CheckedRows:
    """The given users, as far as they are there."""
    parts = (store.read(users[at : at + _KEYS_PER_READ]) for at in range(0, len(users), _KEYS_PER_READ))
    return _checked(parts, group, tick)


def absent(users: Iterable[str], rows: CheckedRows) -> list[str]:
    """Those of `users` whom the store does not hold: they are deleted."""
    found = set(rows.keys) | rows.refused.keys()
    return [user for user in users if user not in found]


def read_report(rows: CheckedRows, deleted: int) -> ReadReport:
    """What became of the users, with the first refusals by name."""
    return ReadReport(
        accepted=len(rows.keys),
        deleted=deleted,
        refused=dict(islice(rows.refused.items(), _REFUSED_NAMED)),
        refused_total=len(rows.refused),
    )


def _checked(batches: Iterable[FeatureRows], group: FeatureGroup, tick: Callable[[int], None]) -> CheckedRows:
    parts: list[CheckedRows] = []
    for batch in batches:
        parts.append(check_rows(group, batch))
        tick(sum(len(part.keys) for part in parts))
    if not parts:
        return CheckedRows([], np.empty((0, group.width), dtype=np.float32), {})
    return CheckedRows(
        keys=[key for part in parts for key in part.keys],
        raw=np.concatenate([part.raw for part in parts]),
        refused={key: why for part in parts for key, why in part.refused.items()},
    )
