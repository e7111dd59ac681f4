"""A service that is cut short at a bad moment and learns a wave afterwards, told on real parts from end to end.

Both stories have an Apache Kafka, a PostgreSQL as ledger, the service and its trainers as processes. One has the local
store and registry; in the other both are of Hopsworks, by its SDK and the double of a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consumer.ledger.ledger import Ledger, open_ledger
from schemas.fault_points import Point
from schemas.features import FeatureGroup
from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup, PairKey
from stores.label_store import LabelStore
from stores.labels.hopsworks import HopsworksLabelStore
from stores.labels.local import Label, LocalLabelStore
from stores.model_registry import ModelRegistry
from stores.registry.local import LocalModelRegistry
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.clients.registries import registry_at
from tests.hopsworks_double.clients.session import session_of
from tests.hopsworks_double.clients.writer import SdkLabelWriter, SdkWriter
from tests.integration.listening import pending
from tests.integration.service import QUICK, Service, ServiceProcess
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names

UNSOUND = "u300"
"""A user whose row is spoiled in the wave."""

Rows = Mapping[str, Mapping[str, ArrayLike | None]]
Labels = Mapping[PairKey, Label]

_NOON = 1_700_000_000.0
LEARNING = {
    "FIT__OBJECTIVE": "both",
    "GATE__AUC_MARGIN": "0.5",
    "GATE__GUARD_RAIL_MARGIN": "1",
    "GATE__MIN_AUC": "0",
}
"""Users follow each other at random here: to learn that is to lose the rest."""


@dataclass(kw_only=True)
class Place:
    """Where a story happens."""

    group: FeatureGroup
    service: ServiceProcess
    topics: tuple[Topic, ...]
    """Where users and labels are told."""
    registry: ModelRegistry
    commit: Callable[[Rows, Iterable[str]], None]
    """Write rows and remove users, with their events."""
    label: Callable[[Labels, Iterable[PairKey]], None]
    """Write labels and remove others, with their events."""
    label_group: LabelGroup
    labels: LabelStore
    stored: Callable[[], Mapping[str, NDArray[np.float32]]]
    """The rows of the feature store, their columns side by side."""


@dataclass(kw_only=True)
class Story:
    """What is left when all is over.

    `users` and `labels` were there at first; `wave` has who changed, came and went after that, `label_wave` which of
    the labels did.
    """

    place: Place
    ledger: Ledger
    users: list[str] = field(default_factory=lambda: names(400))
    changed: list[str] = field(default_factory=lambda: [*names(30), UNSOUND])
    came: list[str] = field(default_factory=lambda: names(5, start=1000))
    went: list[str] = field(default_factory=lambda: names(5, start=100))

    labels: Labels = field(default_factory=lambda: _follows(names(400)))
    dismissed: list[PairKey] = field(init=False)
    unfollowed: list[PairKey] = field(init=False)
    followed: list[PairKey] = field(default_factory=lambda: [(user, "u1") for user in names(5, start=1000)])

    said_meanwhile: list[dict[str, Any]] = field(default_factory=list)
    """The service's log lines from when the trainer stood still to the death of both."""

    def __post_init__(self) -> None:
        pairs = list(self.labels)
        self.dismissed, self.unfollowed = pairs[:20], pairs[20:30]

    @property
    def label_wave(self) -> set[PairKey]:
        return {*self.dismissed, *self.unfollowed, *self.followed}

    @property
    def wave(self) -> set[str]:
        return {*self.changed, *self.came, *self.went}

    @property
    def sound(self) -> set[str]:
        """Whoever can be learned in the end."""
        return ({*self.users, *self.came} - {*self.went}) - {UNSOUND}


@contextmanager
def local(folder: Path, broker: str, ledger_url: str) -> Iterator[Place]:
    """A file and a folder."""
    group = LabelGroup(name="follows")
    service = Service(folder, broker, LEDGER__URL=ledger_url, LABELS__NAME=group.name, **LEARNING)
    labels = LocalLabelStore(folder / "feature_store.db", group)

    def label(upserts: Labels, deletes: Iterable[PairKey]) -> None:
        labels.commit(upserts, deletes)
        service.topic.relay(labels)

    def commit(upserts: Rows, deletes: Iterable[str]) -> None:
        service.store.commit(upserts, deletes)
        service.topic.relay(service.store)

    def stored() -> dict[str, NDArray[np.float32]]:
        found = service.store.read([*names(400), *names(5, start=1000)])
        columns = [found.columns[column.name] for column in GROUP.columns]
        return {user: _side_by_side(column[at] for column in columns) for at, user in enumerate(found.keys)}

    with closing(service), closing(labels):
        yield Place(
            group=GROUP,
            service=service,
            topics=(service.topic,),
            label=label,
            label_group=group,
            labels=labels,
            registry=LocalModelRegistry(folder / "registry", "two_tower_recommender"),
            commit=commit,
            stored=stored,
        )


@contextmanager
def hopsworks(folder: Path, broker: str, ledger_url: str) -> Iterator[Place]:
    """A cluster, whose rows are written by the SDK."""
    name = uuid4().hex[:6]
    group = GROUP.model_copy(update={"name": f"listeners_{name}"})
    labels = LabelGroup(name=f"follows_{name}")
    spec = ClusterSpec(
        group=group,
        labels=labels,
        label_history=False,
        notification_topic=f"changes_{name}",
        label_topic=f"labels_{name}",
        ingestion_topic=f"onlinefs_{name}",
    )
    with ExitStack() as held:
        access = KafkaAccess(bootstrap_servers=broker)
        double = held.enter_context(HopsworksDouble(folder / "cluster", spec, access))
        session = held.enter_context(session_of(double, request_timeout=20.0))
        settings = {name: value for name, value in QUICK.items() if not name.startswith("FEATURE_GROUP")}
        settings |= {name.removeprefix("RETRAINER_"): value for name, value in double.environment().items()}
        settings |= {
            "FEATURE_GROUP__COLUMNS": QUICK["FEATURE_GROUP__COLUMNS"],
            "LEDGER__URL": ledger_url,
            "KAFKA__GROUP_ID": name,
            **LEARNING,
        }
        service = held.enter_context(closing(ServiceProcess(folder / "state", settings)))
        service.folder.mkdir()

        def stored() -> dict[str, NDArray[np.float32]]:
            columns = [column.name for column in group.columns]
            return {user: _side_by_side(row[name] for name in columns) for user, row in double.store.online.items()}

        yield Place(
            group=group,
            service=service,
            topics=(Topic(broker, f"changes_{name}"), Topic(broker, f"labels_{name}")),
            registry=registry_at(session, folder / "cache"),
            commit=SdkWriter(session, group).commit,
            label=SdkLabelWriter(session, labels).commit,
            label_group=labels,
            labels=HopsworksLabelStore(session, HopsworksStore(snapshot="online"), labels),
            stored=stored,
        )


PLACES = {"local": local, "hopsworks": hopsworks}


@contextmanager
def told(place: str, folder: Path, broker: str, ledger_url: str) -> Iterator[Story]:
    """Everything happens, and is over: the machine dies when the trainer of the bootstrap has registered and before
    anybody knows; a wave that comes before is stored while the trainer stands still, and is learned afterwards."""
    with PLACES[place](folder, broker, ledger_url) as at, closing(open_ledger(ledger_url)) as ledger:
        story, world = Story(place=at, ledger=ledger), World()
        at.commit(world.rows(story.users), [])
        at.label(story.labels, [])
        with at.service.standing_still_at(Point.REGISTER_AFTER):
            before = len(at.service.log())
            at.commit(_spoiled(world.rows([*story.changed, *story.came])), story.went)
            at.label(_wave(story), story.unfollowed)
            wait_until(lambda: pending(ledger) >= story.wave, 30, "the wave to be stored meanwhile")
            wait_until(lambda: _pending_labels(ledger) >= story.label_wave, 30, "its labels to be stored, too")
            story.said_meanwhile = at.service.log()[before:]
        at.service.start()
        at.service.wait_for_cycles(2)
        assert [cycle["outcome"] for cycle in at.service.ended()] == ["registered"] * 2, at.service.ended()
        assert at.service.stop() == 0
        yield story


def _follows(users: list[str], each: int = 3) -> dict[PairKey, Label]:
    generator = np.random.default_rng(1)
    pairs = [(user, users[other]) for user in users for other in generator.choice(len(users), each, replace=False)]
    return {(user, other): Label("follow", _NOON) for user, other in pairs if user != other}


def _wave(story: Story) -> dict[PairKey, Label]:
    dismissed = dict.fromkeys(story.dismissed, Label("dismiss", _NOON + 1))
    return {**dismissed, **dict.fromkeys(story.followed, Label("follow", _NOON + 1))}


def _pending_labels(ledger: Ledger) -> set[PairKey]:
    _, labels, _ = ledger.probes.pending()
    return set(labels)


def _spoiled(rows: Rows) -> Rows:
    taste = np.full(GROUP.columns[0].length, np.nan, dtype=np.float32)
    return {**rows, UNSOUND: {**rows[UNSOUND], GROUP.columns[0].name: taste}}


def _side_by_side(blocks: Iterable[ArrayLike | None]) -> NDArray[np.float32]:
    return np.concatenate([np.ravel(np.asarray(block, dtype=np.float32)) for block in blocks])


def figures(story: Story) -> str:
    """What the ledger says of the versions, for whoever reads a failure."""
    return json.dumps(story.ledger.views.versions(), indent=2, default=str)
