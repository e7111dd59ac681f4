"""What a run left: what topic, journal, ledger, registry, feature store and user matrix say, as plain data.

Nothing is judged here, and nothing taken from one source is used to read another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from consumer.ledger.engine import reading
from consumer.ledger.ledger import open_ledger
from consumer.ledger.tables import changes, cycles, dead_letters, learned, offsets, promotions, versions
from tests.crash.matrix import Matrix, Pair, examine
from tests.crash.stream import Sent, read_journal
from tests.crash.topic import read_topic
from tests.integration.topics import Topic
from trainer.errors import RegistryError
from trainer.registry.files import check_files, read_manifest

Ranges = dict[int, tuple[int, int]]
"""{partition: [from, to)}."""


@dataclass(frozen=True, slots=True)
class Version:
    """A numbered folder of the registry. `damage` says why it is not a complete version."""

    number: int
    cycle_id: str = ""
    ranges: Ranges = field(default_factory=dict)
    changed_users: int = 0
    """By its lineage, which is a copy of the claim."""
    unchanged_users: int = 0
    read_users: int = 0
    """By the trainer: those that it read, found deleted, or refused."""
    from_scratch: bool = False
    space: str = ""
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
    """A user who is not settled, and how many events say so. `cycle_id`: of a claim."""

    user: str
    events: int
    cycle_id: str = ""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle in the ledger."""

    state: str
    ranges: Ranges
    settled: bool = False
    """Its users left the ledger."""
    changed_users: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it. Where there is no champion, rows and pairs of the matrix are empty."""

    sent: Sequence[Sent]
    """The records of the topic, those of a partition in their order."""
    stands: Mapping[int, Stand]
    journal: Sequence[Sent] = ()
    """What the committer was told by the broker."""
    waiting: Sequence[Waiting] = ()
    learned: Mapping[str, float] = field(default_factory=dict)
    """When the last event of a user arrived that was settled."""
    cycles: Mapping[str, Cycle] = field(default_factory=dict)
    """In order."""
    recorded: Mapping[int, str] = field(default_factory=dict)
    """The ledger's versions: cycle id by number."""
    promoted: Sequence[int] = ()
    """The history of the champion pointer."""
    dead: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """How many dead letters there are of a partition and offset."""
    versions: Sequence[Version] = ()
    no_space: bool = False
    """The champion's space cannot be opened."""
    stored_rows: Mapping[str, bytes] = field(default_factory=dict)
    """What the feature store holds, by user: the direction that the champion's space gives it."""
    matrix_rows: Mapping[str, bytes] = field(default_factory=dict)
    pairs: frozenset[Pair] = frozenset()
    defined_pairs: frozenset[Pair] = frozenset()
    """The pairs by definition, of the rows in the feature store."""

    @property
    def followed(self) -> int:
        """How many versions have followed in the champion's space."""
        spaces = {one.number: one.space for one in self.versions}
        champion = spaces.get(self.promoted[-1]) if self.promoted else None
        return sum(one.space == champion and not one.from_scratch for one in self.versions)


def gather(folder: Path, topic: Topic, journal: Path) -> Evidence:
    """The evidence of a service that does not run, in its state folder and on the broker."""
    found = _of_ledger(f"sqlite:///{folder / 'ledger.db'}", topic.name)
    in_registry = _versions(folder / "registry" / "two_tower_recommender", topic.name)
    matrix = _of_matrix(folder, found) if found.promoted else Matrix()
    return Evidence(
        sent=read_topic(topic),
        journal=read_journal(journal),
        stands=found.stands,
        waiting=found.waiting,
        learned=found.learned,
        cycles=found.cycles,
        recorded=found.recorded,
        promoted=found.promoted,
        dead=found.dead,
        versions=in_registry,
        no_space=matrix is None,
        stored_rows=matrix.stored_rows if matrix else {},
        matrix_rows=matrix.matrix_rows if matrix else {},
        pairs=matrix.pairs if matrix else frozenset(),
        defined_pairs=matrix.defined_pairs if matrix else frozenset(),
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
                row.cycle_id: Cycle(
                    row.state,
                    _ranges(row.lineage["offsets"].get(topic, {})),
                    row.settled,
                    row.lineage["changed_users"],
                )
                for row in connection.execute(select(cycles).order_by(cycles.c.number))
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
    read = manifest.read_report
    return Version(
        number,
        manifest.cycle_id,
        _ranges(manifest.lineage.offsets.get(topic, {})),
        manifest.lineage.changed_users,
        manifest.lineage.unchanged_users,
        read_users=read.accepted + read.deleted + read.refused_total,
        from_scratch=manifest.kind.from_scratch,
        space=manifest.space.space_id,
        damage=damage,
    )


def _of_matrix(folder: Path, found: Evidence) -> Matrix | None:
    try:
        manifest = read_manifest(folder / "registry" / "two_tower_recommender" / str(found.promoted[-1]))
    except RegistryError:
        return None
    waiting = {one.user for one in found.waiting}
    return examine(folder / "trainer" / "spaces", manifest, folder / "feature_store.db", waiting)


def _ranges(told: Mapping[int, tuple[int, int]] | Mapping[str, Sequence[int]]) -> Ranges:
    return {int(partition): (int(span[0]), int(span[1])) for partition, span in told.items()}
