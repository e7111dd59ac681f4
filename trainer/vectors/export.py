"""Computes and publishes the vectors of one version: the whole way from a request to a stamp."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.jobs.vectors import Origin, Tower, VectorsRequest, VectorStamp, current_set
from schemas.manifest import ModelManifest
from stores.feature_store import Floats
from stores.files import shared
from stores.model_registry import ModelRegistry
from stores.registry.files import read_manifest
from stores.registry.opening import open_registry
from stores.vectors.blocks import VectorBlock, VectorFile, VectorWriter
from stores.vectors.changes import Earlier
from stores.vectors.index import VectorIndex
from stores.vectors.numpy_file import NumpyFile, NumpyWriter
from stores.vectors.parquet import ParquetFile, VectorsDamaged
from stores.vectors.pushing import push
from stores.vectors.sets import SetFiles, SetWriter, only_writer
from stores.vectors.single import SingleWriter
from stores.vectors.together import origin_of, same_towers
from trainer.distributed.cluster import workers_of
from trainer.errors import TrainerError
from trainer.run import open_store
from trainer.space import Space
from trainer.vectors.rows import RowSource, SpaceRows, StoreRows, with_direction
from trainer.vectors.towers import Towers, embed_rows, hashes_of
from trainer.workers import Workers

Tick = Callable[[int, int | None], None]

_SECONDS_A_VECTOR = 2e-5


def export(request: VectorsRequest, tick: Tick) -> VectorStamp:
    """Write the vectors that are asked for, and switch to them.

    Args:
        request: of which version, and to where.
        tick: gets the number of users done, and about how many there are, where that is known.

    Raises:
        RetrainerError: nothing was switched; the message says why.
    """
    registry = open_registry(request.settings)
    folder = registry.fetch(request.version)
    manifest = read_manifest(folder)
    if manifest.feature_group.columns != request.settings.feature_group.columns:
        raise TrainerError(
            f"version {request.version} takes other columns of the feature group than the configured ones: set "
            "RETRAINER_FEATURE_GROUP__COLUMNS back, or ask for another version"
        )
    towers = Towers(folder, request.towers)
    rows = rows_for(request, registry)
    with shared():
        (request.out.parent if request.ending else request.out).mkdir(parents=True, exist_ok=True)
    with (
        nullcontext() if request.ending else only_writer(request.out),
        workers_of(request.settings.engine, request.settings.ray) as workers,
    ):
        work = _Export(request, origin_of(request.version, manifest), manifest, towers, rows, tick, workers)
        place = request.out if request.ending else current_set(request.out)
        try:
            stamp = work.written(place)
        except VectorsDamaged:
            stamp = work.written(None, unknown=True)
        if request.feature_group is not None and (current := current_set(request.out)) is not None:
            push(_index(request, request.feature_group), request.feature_group, current)
        return stamp


def _index(request: VectorsRequest, group: str) -> VectorIndex:
    """The feature group of the request. The SDK of Hopsworks is imported only where it is needed."""
    from stores.hopsworks.session import session_with
    from stores.hopsworks.vector_group import VectorGroup

    assert request.settings.hopsworks is not None
    return VectorGroup(session_with(request.settings.hopsworks), group, request.settings.feature_group.primary_key)


def rows_for(request: VectorsRequest, registry: ModelRegistry) -> RowSource:
    """The champion's space, where this machine has it with all that was settled; else the feature store."""
    settings = request.settings
    group = settings.feature_group
    store = StoreRows(lambda: open_store(settings), group)
    if request.champion is None or request.as_of is None:
        return store
    manifest = read_manifest(registry.fetch(request.champion))
    theirs = manifest.feature_group
    if (theirs.name, theirs.version, theirs.columns) != (group.name, group.version, group.columns):
        return store
    folder = settings.work_dir / "spaces" / manifest.space.space_id
    if not Space.is_current(folder, manifest.space, request.as_of):
        return store
    return SpaceRows(folder, group, lambda: open_store(settings))


@dataclass(frozen=True, slots=True)
class _Export:
    """What one export works with."""

    request: VectorsRequest
    origin: Origin
    manifest: ModelManifest
    towers: Towers
    rows: RowSource
    tick: Tick
    workers: Workers

    def written(self, place: Path | None, *, unknown: bool = False) -> VectorStamp:
        """Write all vectors, beside those at `place`; `unknown` where those could not be read.

        Raises:
            VectorsDamaged: what is at `place` cannot be read.
        """
        with ExitStack() as opened:
            before = _opened(place)
            if before is not None:
                opened.enter_context(closing(before))
            usable = before is not None and self._stayed(before.stamp)
            earlier = Earlier(before, usable=usable) if before is not None else None
            writer = self._writer()
            opened.callback(writer.drop)
            counts = _Counts()
            for block in self._computed(earlier, counts, most=not usable):
                writer.add(block)
            stamp = VectorStamp(
                origin=self.origin,
                cycle_id=self.manifest.cycle_id,
                space_id=self.manifest.space.space_id,
                dimension=self.towers.dimension,
                towers=self.request.towers,
                users=counts.users,
                without_direction=counts.all - counts.users,
                as_of=self.request.as_of,
                computed=counts.computed,
                removed=None if unknown else earlier.removed if earlier is not None else 0,
                made_from=place.name if usable and place is not None else None,
                created_at=datetime.now(UTC),
            )
            writer.finish(stamp)
            return stamp

    def _stayed(self, stamp: VectorStamp) -> bool:
        """Whether vectors of before may be kept where their row is as before."""
        same = same_towers(stamp.origin, self.origin) and stamp.dimension == self.towers.dimension
        return self.request.changed_only and same and stamp.towers == self.request.towers

    def _writer(self) -> VectorWriter:
        kinds: dict[str, Callable[[Path, Sequence[Tower], int], VectorWriter]] = {
            ".parquet": SingleWriter,
            ".npz": NumpyWriter,
            "": SetWriter,
        }
        return kinds[self.request.ending](self.request.out, self.request.towers, self.towers.dimension)

    def _computed(self, earlier: Earlier | None, counts: _Counts, *, most: bool) -> Iterator[VectorBlock]:
        """All blocks; `most` where most vectors have to be computed, and not only those of changed users."""
        about = self.rows.count()
        self.tick(0, about)
        waiting: deque[_Waiting] = deque()
        many = math.inf if about is None else about  # a cluster does not count its users
        seconds = many * len(self.request.towers) * _SECONDS_A_VECTOR if most else 0.0
        found = self.workers.each(embed_rows, self._asked(earlier, waiting), (self.towers,), seconds)
        for computed in found:
            one = waiting.popleft()
            for tower, vectors in computed.items():
                one.block.vectors[tower][one.new] = vectors
            counts.all += one.read
            counts.users += len(one.block.users)
            counts.computed += int(one.new.sum())
            if one.block.users:
                yield one.block
            self.tick(counts.all, about)
        if earlier is not None:
            earlier.rest()

    def _asked(self, earlier: Earlier | None, waiting: deque[_Waiting]) -> Iterator[Floats]:
        """The raw rows to compute vectors of, a block at a time; each block waits for them in `waiting`."""
        for everybody, everything in self.rows.blocks():
            users, raw = with_direction(everybody, everything)
            hashes, vectors = hashes_of(raw), self.towers.empty(len(users))
            new = np.ones(len(users), dtype=bool)
            if earlier is not None and users:
                new = ~earlier.unchanged(users, hashes, vectors)
            waiting.append(_Waiting(VectorBlock(users, vectors, hashes), new, len(everybody)))
            yield raw if new.all() else raw[new]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A block whose `new` users have no vectors yet; `read` counts its users with those without a direction."""

    block: VectorBlock
    new: NDArray[np.bool_]
    read: int


@dataclass(slots=True)
class _Counts:
    """Users that were read, those of them with a direction, and those whose vectors were computed."""

    all: int = 0
    users: int = 0
    computed: int = 0


def _opened(place: Path | None) -> VectorFile | None:
    """What is there already; None where nothing is."""
    if place is None or not place.exists():
        return None
    kinds: dict[str, Callable[[Path], VectorFile]] = {".parquet": ParquetFile, ".npz": NumpyFile}
    return kinds.get(place.suffix, SetFiles)(place)
