"""An embedding space on disk: frozen scaling, the user matrix, and the graph of similar pairs.

    space.json       scaling; written last, so a space without it is unfinished and not used
    index.db, *.f32  the user matrix (`trainer.embeddings`)
    pairs.npz        the graph's lists and the pair policy they were mined by; replaced in one rename

A space is made by a cycle that trains from scratch and then followed by incremental ones. It holds what the feature
store holds, not what a model has learned, so a rejected cycle leaves it as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from schemas.cycle import PairReport
from schemas.features import FeatureGroup
from schemas.manifest import SpaceInfo
from schemas.policies import PairPolicy
from trainer.embeddings import Rows, UserMatrix
from trainer.features.checks import CheckedRows
from trainer.files import replacing
from trainer.pairs.graph import GraphUpdate, Tick, empty_graph, pairs_of, update_graph
from trainer.pairs.mining import Links
from trainer.scaling import to_directions

_SPACE_FILE = "space.json"
_PAIRS_FILE = "pairs.npz"


class Space:
    """One embedding space in a folder; one trainer at a time works in it."""

    def __init__(self, folder: Path, info: SpaceInfo, group: FeatureGroup) -> None:
        self.info = info
        self._folder = folder
        self._group = group
        self.matrix = UserMatrix(folder, group.width)
        self.links = empty_graph()
        self._mined_by: PairPolicy | None = None
        self._load_pairs()

    @staticmethod
    def open(folder: Path, info: SpaceInfo, group: FeatureGroup) -> Space | None:
        """The finished space in `folder` if it is there and scaled by `info`; None when it has to be made anew."""
        try:
            found = SpaceInfo.model_validate_json((folder / _SPACE_FILE).read_bytes())
        except (OSError, ValueError):
            return None
        return Space(folder, info, group) if found == info else None

    @staticmethod
    def create(folder: Path, info: SpaceInfo, group: FeatureGroup) -> Space:
        """An empty, unfinished space; whatever lay in `folder` is gone."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Space(folder, info, group)

    def finish(self) -> None:
        """Declare the space complete: from now on `open` finds it."""
        with replacing(self._folder / _SPACE_FILE) as file:
            file.write(self.info.model_dump_json(indent=2).encode())

    def apply(self, rows: CheckedRows, deletes: Iterable[str]) -> None:
        """Scale and store `rows`, and free the rows of `deletes`; safe to repeat."""
        self.matrix.apply(rows.keys, rows.raw, to_directions(self.info, self._group, rows.raw), deletes)

    def update_pairs(self, policy: PairPolicy, tick: Tick) -> PairReport:
        """Bring the graph up to the matrix, and say what that took; safe to repeat.

        Only dirty rows are mined, or all of them where the graph is missing or was mined by another policy.
        """
        keys, rows = self.matrix.users()
        capacity = len(self.matrix.directions)
        order = np.zeros(capacity, dtype=np.int64)
        order[rows] = np.arange(len(rows))
        before = pairs_of(self.links)
        if self._mined_by is None or _rule(self._mined_by) != _rule(policy):
            update = update_graph(empty_graph(), self.matrix.directions, np.sort(rows), order, policy, tick)
        else:
            update = update_graph(self.links, self.matrix.directions, self.matrix.dirty(), order, policy, tick)
        self._store_pairs(update, policy)
        self.matrix.clean()
        after = pairs_of(self.links)
        both = len(np.intersect1d(_codes(before), _codes(after), assume_unique=True))
        return PairReport(
            users=len(keys),
            before=len(before),
            after=len(after),
            added=len(after) - both,
            removed=len(before) - both,
            rows_mined=update.mined,
            rows_refilled=update.refilled,
        )

    def close(self) -> None:
        """Let go of the files."""
        self.matrix.close()

    def _load_pairs(self) -> None:
        try:
            with np.load(self._folder / _PAIRS_FILE, allow_pickle=False) as stored:
                self.links = Links(stored["source"], stored["target"], stored["similarity"])
                self._mined_by = PairPolicy.model_validate_json(str(stored["policy"]))
        except (OSError, ValueError, KeyError, BadZipFile):
            self._mined_by = None  # missing or damaged: mined in full again

    def _store_pairs(self, update: GraphUpdate, policy: PairPolicy) -> None:
        with replacing(self._folder / _PAIRS_FILE) as file:
            np.savez(
                file,
                source=update.links.source,
                target=update.links.target,
                similarity=update.links.similarity,
                policy=np.array(policy.model_dump_json()),
            )
        self.links, self._mined_by = update.links, policy


def prune(spaces: Path, keep: set[str]) -> None:
    """Remove the spaces in folder `spaces` that no version in use stands on."""
    for folder in spaces.iterdir() if spaces.is_dir() else ():
        if folder.name not in keep:
            shutil.rmtree(folder, ignore_errors=True)


def _rule(policy: PairPolicy) -> tuple[float, int | None]:
    """What of a policy decides which pairs there are."""
    return policy.similarity_threshold, policy.max_positives_per_user


def _codes(pairs: Rows) -> Rows:
    return pairs[:, 0] << 32 | pairs[:, 1]
