"""Reading labels for a cycle: in batches, checked, with a count of what was deleted and what was refused.

Unlike a feature group that holds nobody, a label group that holds nothing is believed: labels may come later, or never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import numpy as np

from schemas.cycle import RefusedKind
from schemas.labels import LabelGroup, PairKey
from stores.label_store import LabelRows, LabelStore
from stores.labels.checks import CheckedLabels, check_labels

_PAIRS_PER_READ = 5000


def read_all(
    store: LabelStore, group: LabelGroup, changed: Collection[PairKey], tick: Callable[[int], None]
) -> CheckedLabels:
    """Every label, `changed` ones for certain as they are now; `tick` hears how many were read so far.

    Raises:
        ContractError: the group, or a column of it, is not there.
    """
    return _joined(_checked(store.snapshot(changed), group, tick))


def read_pairs(
    store: LabelStore, group: LabelGroup, pairs: Sequence[PairKey], tick: Callable[[int], None]
) -> CheckedLabels:
    """The labels of the given pairs, as far as they are there; errors as of `read_all`."""
    parts = (store.read(pairs[at : at + _PAIRS_PER_READ]) for at in range(0, len(pairs), _PAIRS_PER_READ))
    return _joined(_checked(parts, group, tick))


def absent(pairs: Iterable[PairKey], labels: CheckedLabels) -> list[PairKey]:
    """Those of `pairs` that the store does not hold: they are deleted."""
    found = set(labels.pairs) | labels.refused.keys()
    return [pair for pair in pairs if pair not in found]


def _checked(batches: Iterable[LabelRows], group: LabelGroup, tick: Callable[[int], None]) -> Iterator[CheckedLabels]:
    read = 0
    for batch in batches:
        part = check_labels(group, batch)
        read += len(part)
        tick(read)
        yield part


def _joined(parts: Iterable[CheckedLabels]) -> CheckedLabels:
    all_of = list(parts)
    return CheckedLabels(
        pairs=[pair for part in all_of for pair in part.pairs],
        positive=np.concatenate([np.empty(0, np.bool_), *(part.positive for part in all_of)]),
        weight=np.concatenate([np.empty(0, np.float32), *(part.weight for part in all_of)]),
        at=np.concatenate([np.empty(0, np.float64), *(part.at for part in all_of)]),
        refused={pair: why for part in all_of for pair, why in part.refused.items()},
        keyless=sum(part.keyless for part in all_of),
        kinds=sum((part.kinds for part in all_of), Counter[RefusedKind]()),
    )
