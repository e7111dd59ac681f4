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
from tests.hopsworks.double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks.registries import registry_at
from tests.hopsworks.running import session_of
from tests.hopsworks.writer import SdkWriter
from tests.integration.listening import pending
from tests.integration.service import QUICK, Service, ServiceProcess
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names
from trainer.registry.local import LocalModelRegistry
from trainer.registry.protocol import ModelRegistry

UNSOUND = "u300"
"""A user whose row is spoiled in the wave."""

Rows = Mapping[str, Mapping[str, ArrayLike | None]]


@dataclass(kw_only=True)
class Place:
    """Where a story happens."""

    group: FeatureGroup
    service: ServiceProcess
    topic: Topic
    registry: ModelRegistry
    commit: Callable[[Rows, Iterable[str]], None]
    """Write rows and remove users, with their events."""
    stored: Callable[[], Mapping[str, NDArray[np.float32]]]
    """The rows of the feature store, their columns side by side."""


@dataclass(kw_only=True)
class Story:
    """What is left when all is over. `users` were there at first, `wave` has who changed, came and went after that."""

    place: Place
    ledger: Ledger
    users: list[str] = field(default_factory=lambda: names(400))
    changed: list[str] = field(default_factory=lambda: [*names(30), UNSOUND])
    came: list[str] = field(default_factory=lambda: names(5, start=1000))
    went: list[str] = field(default_factory=lambda: names(5, start=100))

    said_meanwhile: list[dict[str, Any]] = field(default_factory=list)
    """The service's log lines from when the trainer stood still to the death of both."""

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
    service = Service(folder, broker, LEDGER__URL=ledger_url)

    def commit(upserts: Rows, deletes: Iterable[str]) -> None:
        service.store.commit(upserts, deletes)
        service.topic.relay(service.store)

    def stored() -> dict[str, NDArray[np.float32]]:
        found = service.store.read([*names(400), *names(5, start=1000)])
        columns = [found.columns[column.name] for column in GROUP.columns]
        return {user: _side_by_side(column[at] for column in columns) for at, user in enumerate(found.keys)}

    with closing(service):
        yield Place(
            group=GROUP,
            service=service,
            topic=service.topic,
            registry=LocalModelRegistry(folder / "registry", "two_tower_recommender"),
            commit=commit,
            stored=stored,
        )


@contextmanager
def hopsworks(folder: Path, broker: str, ledger_url: str) -> Iterator[Place]:
    """A cluster, whose rows are written by the SDK."""
    name = uuid4().hex[:6]
    group = GROUP.model_copy(update={"name": f"listeners_{name}"})
    spec = ClusterSpec(group=group, notification_topic=f"changes_{name}", ingestion_topic=f"onlinefs_{name}")
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
        }
        service = held.enter_context(closing(ServiceProcess(folder / "state", settings)))
        service.folder.mkdir()

        def stored() -> dict[str, NDArray[np.float32]]:
            columns = [column.name for column in group.columns]
            return {user: _side_by_side(row[name] for name in columns) for user, row in double.store.online.items()}

        yield Place(
            group=group,
            service=service,
            topic=Topic(broker, f"changes_{name}"),
            registry=registry_at(session, folder / "cache"),
            commit=SdkWriter(session, group).commit,
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
        with at.service.standing_still_at(Point.REGISTER_AFTER):
            before = len(at.service.log())
            at.commit(_spoiled(world.rows([*story.changed, *story.came])), story.went)
            wait_until(lambda: pending(ledger) >= story.wave, 30, "the wave to be stored meanwhile")
            story.said_meanwhile = at.service.log()[before:]
        at.service.start()
        at.service.wait_for_cycles(2)
        assert [cycle["outcome"] for cycle in at.service.ended()] == ["registered"] * 2, at.service.ended()
        assert at.service.stop() == 0
        yield story


def _spoiled(rows: Rows) -> Rows:
    taste = np.full(GROUP.columns[0].length, np.nan, dtype=np.float32)
    return {**rows, UNSOUND: {**rows[UNSOUND], GROUP.columns[0].name: taste}}


def _side_by_side(blocks: Iterable[ArrayLike | None]) -> NDArray[np.float32]:
    return np.concatenate([np.ravel(np.asarray(block, dtype=np.float32)) for block in blocks])


def figures(story: Story) -> str:
    """What the ledger says of the versions, for whoever reads a failure."""
    return json.dumps(story.ledger.views.versions(), indent=2, default=str)
