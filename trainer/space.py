"""An embedding space on disk: frozen scaling, the user matrix, and the graph of similar pairs.

    space.json       scaling; written last, so a space without it is unfinished and not used
    index.db, *.f32  the user matrix (`trainer.matrix.embeddings`)
    short.bin, projection.npz  bounds of similarities, by which pairs are mined (`trainer.pairs.short_rows`)
    newcomers.json   users who entered the space since a version was registered (`trainer.gate.slices`)
    axes.npy         the axes of its first training users (`trainer.matrix.axes`), by which later users outside are seen
    pairs.bin        the graph and the pair policy it was mined by (`trainer.pairs.graph_file`)
    leavers.json     users who left the space since a cycle was settled (`trainer.matrix.departures`)
    labels.db        the pair labels, where there is a label group (`trainer.labels.book`)
    cycles.json      the cycles that were applied to it, the latest last, each with what it left

A cycle that trains from scratch makes a space, and incremental cycles follow it. A space holds what the feature store
holds, not what a model has learned, so a rejected cycle leaves its rows there. Every machine that runs cycles has its
own spaces. A space to which the last settled cycle was not applied has missed changes, and is recreated.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import numpy as np

from schemas.cycle import PairReport
from schemas.fault_points import Point, reached
from schemas.features import FeatureGroup
from schemas.manifest import SpaceInfo
from schemas.policies import PairPolicy
from stores.feature_store import Floats
from stores.features.checks import CheckedRows
from stores.files import replacing
from stores.scratch import Scratch
from trainer.labels.book import BOOK_FILE, LabelBook
from trainer.matrix.axes import outside_energy
from trainer.matrix.embeddings import UserMatrix
from trainer.matrix.scaling import to_directions
from trainer.pairs.engine import LOCAL, Engine
from trainer.pairs.graph import Graph, Tick, common, update_graph
from trainer.pairs.graph_file import store_graph, stored_graph
from trainer.pairs.short_rows import ShortRows
from trainer.pairs.view import View

_SPACE_FILE = "space.json"
_AXES_FILE = "axes.npy"
_CYCLES_FILE = "cycles.json"
_MEASURED = 20_000  # users whose directions are measured; more would not move a share by a hundredth
_CYCLES_KEPT = 100  # those after the last settled one were refused or failed, and full retrains end such a series


class _Left(TypedDict):
    """The state after a cycle: number of pairs, threshold and cap they were mined by, and share outside the axes."""

    pairs: int
    rule: list[float | int | None]
    outside: float | None


class Space:
    """One embedding space in a folder; one trainer at a time works in it."""

    def __init__(self, folder: Path, info: SpaceInfo, group: FeatureGroup) -> None:
        self.info = info
        self._folder = folder
        self._group = group
        self.matrix = UserMatrix(folder, group.width)
        self.graph = Graph.empty(PairPolicy())
        self._short = ShortRows(folder)
        self._mined_by: PairPolicy | None = None
        self._pairs: int | None = None
        self._labels: LabelBook | None = None
        self._load_pairs()

    @staticmethod
    def open(
        folder: Path, info: SpaceInfo, group: FeatureGroup, last_promoted_cycle: str | None = None
    ) -> Space | None:
        """The finished space in `folder`; None where it has to be recreated.

        That is when it is not there, is scaled otherwise than by `info`, or lacks the cycle `last_promoted_cycle`.
        """
        return Space(folder, info, group) if Space.is_current(folder, info, last_promoted_cycle) else None

    @staticmethod
    def is_current(folder: Path, info: SpaceInfo, last_promoted_cycle: str | None) -> bool:
        """Whether `open` finds a space; opens no file for writing."""
        try:
            found = SpaceInfo.model_validate_json((folder / _SPACE_FILE).read_bytes())
        except (OSError, ValueError):
            return False
        return found == info and (last_promoted_cycle is None or last_promoted_cycle in _applied(folder))

    @staticmethod
    def create(folder: Path, info: SpaceInfo, group: FeatureGroup) -> Space:
        """An empty, unfinished space; `folder` is emptied first."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Space(folder, info, group)

    def finish(self, cycle_id: str) -> None:
        """Mark the space as complete and the cycle as applied: from now on `open` finds the space."""
        applied = _applied(self._folder)
        applied.pop(cycle_id, None)
        applied[cycle_id] = self._left()
        with replacing(self._folder / _CYCLES_FILE) as file:
            file.write(json.dumps(dict(list(applied.items())[-_CYCLES_KEPT:])).encode())
        reached(Point.PAIR_APPLIED)
        with replacing(self._folder / _SPACE_FILE) as file:
            file.write(self.info.model_dump_json(indent=2).encode())

    def pairs_after(self, cycle_id: str, policy: PairPolicy) -> int | None:
        """Number of similar pairs after a cycle; None where it is not known, or another policy mined them."""
        left = _applied(self._folder).get(cycle_id)
        return left["pairs"] if left and left["rule"] == list(mining_rule(policy)) else None

    def outside_after(self, cycle_id: str) -> float | None:
        """Share of the squared length of all users outside the axes after a cycle; None where it is not known."""
        left = _applied(self._folder).get(cycle_id)
        return left["outside"] if left else None

    def apply(self, rows: CheckedRows, deletes: Iterable[str]) -> None:
        """Scale and store `rows`, and free the rows of `deletes`; safe to repeat."""
        self.matrix.apply(rows.keys, rows.raw, lambda raw: to_directions(self.info, self._group, raw), deletes)

    def update_pairs(self, policy: PairPolicy, tick: Tick, engine: Engine = LOCAL) -> PairReport:
        """Update the graph to the matrix, and report the work; safe to repeat.

        Only dirty rows are mined, or all of them where the graph is missing or was mined by another policy.
        """
        keys, rows = self.matrix.users()
        directions = self.matrix.directions
        order = np.zeros(len(directions), dtype=np.int64)
        order[rows] = np.arange(len(rows))
        everyone = np.sort(rows)
        if self._mined_by is None or mining_rule(self._mined_by) != mining_rule(policy):
            graph, changed = Graph.empty(policy), everyone
            bounds = self._short.recreate(directions, everyone, policy, engine.precisions())
        else:
            graph, changed = self.graph, self.matrix.dirty()
            bounds = self._short.current(directions, changed, everyone, policy, engine.precisions())
        scratch = Scratch(self._folder)
        before = self.graph.codes(scratch=scratch)
        update = update_graph(graph, View(directions, bounds, order), changed, policy, tick, engine, scratch)
        after = update.graph.codes(scratch=scratch)
        self._store_pairs(update.graph, policy)
        reached(Point.PAIR_STORED)
        self.matrix.clean()
        self._pairs = len(after)
        both = common(before, after)
        return PairReport(
            users=len(keys),
            before=len(before),
            after=len(after),
            added=len(after) - both,
            removed=len(before) - both,
            rows_mined=update.mined,
            rows_refilled=update.refilled,
        )

    def labels(self) -> LabelBook:
        """The book of pair labels; a missing one is made."""
        self._labels = self._labels or LabelBook(self._folder)
        return self._labels

    def forget_labels(self) -> None:
        """Drop the book: without a label group, changes of labels would be missed."""
        for path in self._folder.glob(f"{BOOK_FILE}*"):
            path.unlink()

    def axes(self) -> Floats | None:
        """(axes, width) as they were kept; None where they are missing or damaged."""
        try:
            found = np.load(self._folder / _AXES_FILE, allow_pickle=False)
        except (OSError, EOFError, ValueError):
            return None
        sound = found.dtype == np.float32 and found.ndim == 2 and found.shape[1] == self._group.width
        return found if sound and np.isfinite(found).all() else None

    def keep_axes(self, axes: Floats) -> None:
        """Keep `axes` (axes, width) beside the matrix, for as long as the space is followed."""
        with replacing(self._folder / _AXES_FILE) as file:
            np.save(file, axes, allow_pickle=False)

    def close(self) -> None:
        """Close the files."""
        self.matrix.close()
        if self._labels is not None:
            self._labels.close()

    def _left(self) -> _Left | None:
        """The state now; None where no pairs were mined."""
        if self._pairs is None or self._mined_by is None:
            return None
        axes, directed = self.axes(), np.flatnonzero(self.matrix.directions.any(axis=1))
        outside = None
        if axes is not None and len(directed):
            some = directed[:: -(-len(directed) // _MEASURED)]
            outside = float(outside_energy(self.matrix.directions[some], axes).mean())
        return {"pairs": self._pairs, "rule": list(mining_rule(self._mined_by)), "outside": outside}

    def _load_pairs(self) -> None:
        """Map the stored graph; one that is missing or damaged is mined in full again."""
        self._mined_by = None
        if (stored := stored_graph(self._folder)) is not None:
            policy, arrays = stored
            with suppress(KeyError):
                self.graph, self._mined_by = Graph.of(policy, arrays), policy

    def _store_pairs(self, graph: Graph, policy: PairPolicy) -> None:
        """Store the graph, and map what is stored: what it was made in goes away."""
        store_graph(self._folder, policy, graph.arrays())
        self._load_pairs()
        if self._mined_by is None:  # it cannot be mapped: it is kept as it was made
            self.graph, self._mined_by = graph, policy


def _applied(folder: Path) -> dict[str, _Left | None]:
    try:
        found = json.loads((folder / _CYCLES_FILE).read_bytes())
    except (OSError, ValueError):
        return {}  # a space of an earlier release, or a damaged list: what it has missed is not known
    return found if isinstance(found, dict) else dict.fromkeys(found)  # a list, where an earlier release wrote it


def prune(spaces: Path, keep: set[str]) -> None:
    """Remove the spaces in folder `spaces` that are not in `keep`."""
    for folder in spaces.iterdir() if spaces.is_dir() else ():
        if folder.name not in keep:
            shutil.rmtree(folder, ignore_errors=True)


def mining_rule(policy: PairPolicy) -> tuple[float, int | None]:
    """The parts of a policy that decide which pairs there are: threshold and cap."""
    return policy.similarity_threshold, policy.max_positives_per_user
