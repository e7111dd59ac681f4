"""What a run left: what journal, ledger, registry, feature store and user matrix say, as plain data.

Nothing is judged here, and nothing taken from one source is used to read another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import select

from consumer.ledger.engine import reading
from consumer.ledger.ledger import open_ledger
from consumer.ledger.tables import changes, cycles, dead_letters, learned, offsets, promotions, versions
from schemas.manifest import ModelManifest
from schemas.policies import PairPolicy
from tests.crash.stream import Sent, read_journal
from tests.worlds import GROUP
from trainer.errors import RegistryError
from trainer.features.local import LocalFeatureStore
from trainer.features.reading import read_all
from trainer.pairs.similarity import similarity
from trainer.registry.files import check_files, read_manifest
from trainer.scaling import to_directions
from trainer.space import Space

Ranges = dict[int, tuple[int, int]]
"""{partition: [from, to)}."""
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Version:
    """A numbered folder of the registry. `damage` says why it is not a complete version."""

    number: int
    cycle_id: str = ""
    ranges: Ranges = field(default_factory=dict)
    changed_users: int = 0
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class Stand:
    """A partition in the ledger."""

    next: int
    settled: int
    events: int
    ignored: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A user whom no registered version has learned yet, and how many events say so. `cycle_id`: of a claim."""

    user: str
    events: int
    cycle_id: str = ""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle in the ledger."""

    state: str
    ranges: Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it. Where there is no champion, rows and pairs of the matrix are empty."""

    sent: Sequence[Sent]
    stands: Mapping[int, Stand]
    waiting: Sequence[Waiting] = ()
    learned: Mapping[str, float] = field(default_factory=dict)
    """When the last event that a version has learned of a user arrived."""
    cycles: Mapping[str, Cycle] = field(default_factory=dict)
    recorded: Mapping[int, str] = field(default_factory=dict)
    """The ledger's versions: cycle id by number."""
    promoted: Sequence[int] = ()
    """The history of the champion pointer."""
    dead: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """How many dead letters there are of a partition and offset."""
    versions: Sequence[Version] = ()
    stored_rows: Mapping[str, bytes] = field(default_factory=dict)
    """What the feature store holds, by user: the direction that the champion's space gives it."""
    matrix_rows: Mapping[str, bytes] = field(default_factory=dict)
    pairs: frozenset[Pair] = frozenset()
    defined_pairs: frozenset[Pair] = frozenset()
    """The pairs by definition, of the rows in the matrix."""


def gather(folder: Path, topic: str, journal: Path, ledger_url: str | None = None) -> Evidence:
    """The evidence in the state folder of a service that does not run."""
    found = _of_ledger(ledger_url or f"sqlite:///{folder / 'ledger.db'}", topic)
    in_registry = _versions(folder / "registry" / "two_tower_recommender", topic)
    learnt = _of_matrix(folder, found.promoted[-1] if found.promoted else None)
    return Evidence(
        sent=read_journal(journal),
        stands=found.stands,
        waiting=found.waiting,
        learned=found.learned,
        cycles=found.cycles,
        recorded=found.recorded,
        promoted=found.promoted,
        dead=found.dead,
        versions=in_registry,
        stored_rows=learnt.stored_rows,
        matrix_rows=learnt.matrix_rows,
        pairs=learnt.pairs,
        defined_pairs=learnt.defined_pairs,
    )


def _of_ledger(url: str, topic: str) -> Evidence:
    with closing(open_ledger(url, create=False)) as ledger, reading(ledger.engine) as connection:
        return Evidence(
            sent=(),
            stands={
                row.partition: Stand(row.next_offset, row.settled_offset, row.events, row.ignored)
                for row in connection.execute(select(offsets).where(offsets.c.topic == topic))
            },
            waiting=[
                Waiting(row.user_id, row.events, row.cycle_id) for row in connection.execute(select(changes)).all()
            ],
            learned={row.user_id: row.received_at for row in connection.execute(select(learned))},
            cycles={
                row.cycle_id: Cycle(row.state, _ranges(row.lineage["offsets"].get(topic, {})))
                for row in connection.execute(select(cycles))
            },
            recorded={row.version: row.cycle_id for row in connection.execute(select(versions))},
            promoted=list(connection.scalars(select(promotions.c.version).order_by(promotions.c.number))),
            dead=Counter(
                (row.partition, row.offset)
                for row in connection.execute(select(dead_letters).where(dead_letters.c.topic == topic))
            ),
        )


def _versions(registry: Path, topic: str) -> list[Version]:
    numbers = (
        sorted(int(path.name) for path in registry.iterdir() if path.name.isdecimal()) if registry.is_dir() else ()
    )
    return [_version(registry / str(number), number, topic) for number in numbers]


def _version(folder: Path, number: int, topic: str) -> Version:
    try:
        manifest = check_files(folder)
        damage = None
    except RegistryError as error:
        damage = str(error).replace(f"{folder}", str(number))
        try:
            manifest = read_manifest(folder)
        except RegistryError:
            return Version(number, damage=damage)
    ranges = _ranges(manifest.lineage.offsets.get(topic, {}))
    return Version(number, manifest.cycle_id, ranges, manifest.lineage.changed_users, damage)


def _of_matrix(folder: Path, champion: int | None) -> Evidence:
    nothing = Evidence(sent=(), stands={})
    if champion is None:
        return nothing
    try:
        manifest = read_manifest(folder / "registry" / "two_tower_recommender" / str(champion))
    except RegistryError:
        return nothing
    space = Space.open(folder / "trainer" / "spaces" / manifest.space.space_id, manifest.space, GROUP)
    if space is None:
        return nothing
    with closing(space):
        return _of_space(space, manifest, folder / "feature_store.db")


def _of_space(space: Space, manifest: ModelManifest, store_file: Path) -> Evidence:
    with closing(LocalFeatureStore(store_file, GROUP)) as store:
        stored = read_all(store, GROUP, (), lambda _done: None)
    directions = to_directions(manifest.space, GROUP, stored.raw)
    keys, rows = space.matrix.users()
    key_of = dict(zip(rows.tolist(), keys, strict=True))
    return Evidence(
        sent=(),
        stands={},
        stored_rows={key: directions[at].tobytes() for at, key in enumerate(stored.keys)},
        matrix_rows={key: space.matrix.directions[row].tobytes() for key, row in zip(keys, rows, strict=True)},
        pairs=frozenset(_named(key_of[one], key_of[other]) for one, other in space.graph.pairs().tolist()),
        defined_pairs=_by_definition(space, manifest.pairs),
    )


def _by_definition(space: Space, policy: PairPolicy) -> frozenset[Pair]:
    """Everybody against everybody: kept for a user are the nearest of those who are similar, ties by id."""
    keys, rows = space.matrix.users()
    pairs: set[Pair] = set()
    for key, row in zip(keys, rows.tolist(), strict=True):
        alike = similarity(space.matrix.directions, np.full(len(rows), row), rows)
        near = [
            (-float(alike[at]), other)
            for at, other in enumerate(keys)
            if other != key and alike[at] > policy.similarity_threshold
        ]
        pairs |= {_named(key, other) for _, other in sorted(near)[: policy.max_positives_per_user]}
    return frozenset(pairs)


def _named(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)


def _ranges(told: Mapping[int, tuple[int, int]] | Mapping[str, Sequence[int]]) -> Ranges:
    return {int(partition): (int(span[0]), int(span[1])) for partition, span in told.items()}
