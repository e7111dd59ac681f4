"""What a run left: what topics, journal, ledger, registry, stores and embedding space say, as plain data.

Nothing is judged here, and nothing taken from one source is used to read another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import select

from consumer.changes.kinds import KINDS
from consumer.changes.portions import waiting
from consumer.database.engine import reading
from consumer.database.tables import cycles, dead_letters, offsets, promotions, versions
from consumer.ledger.ledger import open_ledger
from schemas.cycle import Lineage, OffsetRanges
from stores.errors import RegistryError
from stores.registry.files import check_files, read_manifest
from tests.crash.matrix import Matrix, Pair, Said, examine
from tests.crash.stream import read_journal
from tests.crash.topic import Place, Sent, Topics, read_topics

Ranges = dict[Place, tuple[int, int]]
"""{(topic, partition): [from, to)}."""


@dataclass(frozen=True, slots=True)
class Version:
    """A numbered folder of the registry. `damage` says why it is not a complete version."""

    number: int
    cycle_id: str = ""
    ranges: Ranges = field(default_factory=dict)
    changed_users: int = 0
    """By its lineage, which is a copy of the claim."""
    changed_labels: int = 0
    unchanged_users: int = 0
    unchanged_labels: int = 0
    read_users: int = 0
    """By the trainer: those that it read, found deleted, or refused."""
    read_labels: int = 0
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
    """A user or a label that is not settled, and how many events say so. `cycle_id`: of a claim."""

    key: str
    events: int
    cycle_id: str = ""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle in the ledger."""

    state: str
    ranges: Ranges
    settled: bool = False
    """What it claimed left the ledger."""
    changed_users: int = 0
    changed_labels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it. Where there is no champion, what its space keeps is empty. A label's key is the JSON of its users."""

    sent: Sequence[Sent]
    """The records of the topics, those of a partition in their order."""
    stands: Mapping[Place, Stand]
    journal: Sequence[Sent] = ()
    """What the committer was told by the broker."""
    waiting: Sequence[Waiting] = ()
    learned: Mapping[str, float] = field(default_factory=dict)
    """When the last event of a user or a label arrived that was settled."""
    cycles: Mapping[str, Cycle] = field(default_factory=dict)
    """In order."""
    recorded: Mapping[int, str] = field(default_factory=dict)
    """The ledger's versions: cycle id by number."""
    promoted: Sequence[int] = ()
    """The history of the champion pointer."""
    dead: Mapping[tuple[Place, int], int] = field(default_factory=dict)
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
    stored_labels: Mapping[str, Said] = field(default_factory=dict)
    """What the label group holds that can be used."""
    book_labels: Mapping[str, Said] = field(default_factory=dict)

    @property
    def followed(self) -> int:
        """How many versions have followed in the champion's space."""
        spaces = {one.number: one.space for one in self.versions}
        champion = spaces.get(self.promoted[-1]) if self.promoted else None
        return sum(one.space == champion and not one.from_scratch for one in self.versions)


def gather(folder: Path, topics: Topics, journal: Path) -> Evidence:
    """The evidence of a service that does not run, in its state folder and on the broker."""
    found = _of_ledger(f"sqlite:///{folder / 'ledger.db'}", topics)
    matrix = _of_matrix(folder, found) if found.promoted else Matrix()
    kept = matrix or Matrix()
    return replace(
        found,
        sent=read_topics(topics),
        journal=read_journal(journal),
        versions=_versions(folder / "registry" / "two_tower_recommender", topics),
        no_space=matrix is None,
        stored_rows=kept.stored_rows,
        matrix_rows=kept.matrix_rows,
        pairs=kept.pairs,
        defined_pairs=kept.defined_pairs,
        stored_labels=kept.stored_labels,
        book_labels=kept.book_labels,
    )


def _of_ledger(url: str, topics: Topics) -> Evidence:
    with closing(open_ledger(url, create=False)) as ledger, reading(ledger.engine) as connection:
        return Evidence(
            sent=(),
            stands={
                (row.topic, row.partition): Stand(row.next_offset, row.settled_offset, row.events, row.ignored)
                for row in connection.execute(select(offsets).where(offsets.c.topic.in_(topics.names)))
            },
            waiting=[
                Waiting(*row)
                for kind in KINDS
                for row in connection.execute(waiting(kind, kind.key, kind.changes.c.events))
            ],
            learned={
                key: received_at
                for kind in KINDS
                for key, received_at in connection.execute(
                    select(kind.learned.c[kind.key.name], kind.learned.c.received_at)
                )
            },
            cycles={
                row.cycle_id: _cycle(row.state, Lineage.model_validate(row.lineage), topics, settled=row.settled)
                for row in connection.execute(select(cycles).order_by(cycles.c.number))
            },
            recorded={row.version: row.cycle_id for row in connection.execute(select(versions))},
            promoted=list(connection.scalars(select(promotions.c.version).order_by(promotions.c.number))),
            dead=Counter(
                ((row.topic, row.partition), row.offset)
                for row in connection.execute(select(dead_letters).where(dead_letters.c.topic.in_(topics.names)))
            ),
        )


def _cycle(state: str, lineage: Lineage, topics: Topics, *, settled: bool) -> Cycle:
    ranges = _ranges(lineage.offsets, topics)
    return Cycle(state, ranges, settled, lineage.changed_users, lineage.changed_labels)


def _versions(registry: Path, topics: Topics) -> list[Version]:
    numbers = (
        sorted(int(path.name) for path in registry.iterdir() if path.name.isdecimal()) if registry.is_dir() else ()
    )
    return [_version(registry / str(number), number, topics) for number in numbers]


def _version(folder: Path, number: int, topics: Topics) -> Version:
    try:
        manifest = check_files(folder)
        damage = None
    except RegistryError as error:
        damage = str(error).replace(f"{folder}", str(number))
        try:
            manifest = read_manifest(folder)
        except RegistryError:
            return Version(number, damage=damage)
    lineage, users, labels = manifest.lineage, manifest.read_report, manifest.label_report
    return Version(
        number,
        manifest.cycle_id,
        _ranges(lineage.offsets, topics),
        changed_users=lineage.changed_users,
        changed_labels=lineage.changed_labels,
        unchanged_users=lineage.unchanged_users,
        unchanged_labels=lineage.unchanged_labels,
        read_users=users.accepted + users.deleted + users.refused_total,
        read_labels=labels.accepted + labels.deleted + labels.refused_total if labels else 0,
        from_scratch=manifest.kind.from_scratch,
        space=manifest.space.space_id,
        damage=damage,
    )


def _of_matrix(folder: Path, found: Evidence) -> Matrix | None:
    try:
        manifest = read_manifest(folder / "registry" / "two_tower_recommender" / str(found.promoted[-1]))
    except RegistryError:
        return None
    waiting = {one.key for one in found.waiting}
    return examine(folder / "trainer" / "spaces", manifest, folder / "feature_store.db", waiting)


def _ranges(told: OffsetRanges, topics: Topics) -> Ranges:
    return {
        (name, number): (start, end) for name in topics.names for number, (start, end) in told.get(name, {}).items()
    }
