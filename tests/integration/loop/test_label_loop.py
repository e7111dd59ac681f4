"""Users and labels through the installed service, on both stores, killed on the way: no label is lost (P1, P3).

What a label book holds at the end is what a full re-read of the label group gives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
import pytest

from consumer.ledger.ledger import open_ledger
from schemas.fault_points import Point
from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup, PairKey, pair_text
from stores.features.local import LocalFeatureStore
from stores.label_store import LabelStore
from stores.labels.hopsworks import HopsworksLabelStore
from stores.labels.local import Label, LocalLabelStore
from stores.labels.reading import read_all
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.clients.session import session_of
from tests.hopsworks_double.clients.writer import SdkLabelWriter, SdkWriter
from tests.integration.service import QUICK, ServiceProcess
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import GROUP, Row, World, names
from trainer.labels.book import LabelBook

pytestmark = pytest.mark.full

NOON = 1_700_000_000.0
LABELLED = {
    "TRIGGER__CHANGED_LABELS": "20",
    "FIT__OBJECTIVE": "both",
    "GATE__AUC_MARGIN": "0.5",
    "GATE__GUARD_RAIL_MARGIN": "1",
    "GATE__MIN_AUC": "0",  # these follow each other at random: to learn that is to lose the rest
}


class Side(Protocol):
    """Where users and labels are written, and how a service finds them."""

    settings: Mapping[str, str]
    labels: LabelGroup

    def users(self, upserts: Mapping[str, Row], deletes: list[str]) -> None:
        """Write users; the service is told."""

    def label(self, upserts: Mapping[PairKey, Label], deletes: list[PairKey]) -> None:
        """Write labels; the service is told."""

    def store(self) -> LabelStore:
        """Where labels are read, all of them as they are now."""


class LocalSide:
    """Both in one file, and both told on one topic."""

    labels = LabelGroup(name="follows")

    def __init__(self, folder: Path, broker: str, stack: ExitStack) -> None:
        self._path = folder / "state" / "feature_store.db"
        self._topic = Topic.new(broker)
        self._users = stack.enter_context(closing(LocalFeatureStore(self._path, GROUP)))
        self._labels = stack.enter_context(closing(LocalLabelStore(self._path, self.labels)))
        self.settings: Mapping[str, str] = {
            "KAFKA__BOOTSTRAP_SERVERS": broker,
            "KAFKA__TOPIC": self._topic.name,
            "KAFKA__GROUP_ID": f"g-{self._topic.name}",
            "LABELS__NAME": self.labels.name,
        }

    def users(self, upserts: Mapping[str, Row], deletes: list[str]) -> None:
        self._users.commit(upserts, deletes)
        self._topic.relay(self._users)

    def label(self, upserts: Mapping[PairKey, Label], deletes: list[PairKey]) -> None:
        self._labels.commit(upserts, deletes)
        self._topic.relay(self._labels)

    def store(self) -> LabelStore:
        return self._labels


class ClusterSide:
    """Two groups of a cluster, written by the SDK, each with its notification topic; the offline copy lags."""

    def __init__(self, folder: Path, broker: str, stack: ExitStack) -> None:
        name = uuid4().hex[:6]
        self.labels = LabelGroup(name=f"follows_{name}")
        group = GROUP.model_copy(update={"name": f"listeners_{name}"})
        spec = ClusterSpec(
            group=group,
            labels=self.labels,
            label_history=False,
            ingestion_topic=f"onlinefs_{name}",
            notification_topic=f"users_{name}",
            label_topic=f"labels_{name}",
        )
        kafka = KafkaAccess(bootstrap_servers=broker)
        self._double = stack.enter_context(HopsworksDouble(folder / "cluster", spec, kafka))
        self._session = stack.enter_context(session_of(self._double, request_timeout=20.0))
        self._users = SdkWriter(self._session, group)
        self._labels = SdkLabelWriter(self._session, self.labels)
        self._double.store.auto_materialize = self._double.labels.store.auto_materialize = False
        told = {name.removeprefix("RETRAINER_"): value for name, value in self._double.environment().items()}
        self.settings: Mapping[str, str] = told

    def users(self, upserts: Mapping[str, Row], deletes: list[str]) -> None:
        self._users.commit(upserts, deletes)
        online = self._double.store.online
        wait_until(lambda: upserts.keys() <= online.keys() and not online.keys() & set(deletes), 30, "the users")

    def label(self, upserts: Mapping[PairKey, Label], deletes: list[PairKey]) -> None:
        self._labels.commit(upserts, deletes)
        online = self._double.labels.store.online
        there, gone = set(map(pair_text, upserts)), set(map(pair_text, deletes))
        wait_until(lambda: there <= online.keys() and not online.keys() & gone, 30, "the labels")

    def store(self) -> LabelStore:
        return HopsworksLabelStore(self._session, HopsworksStore(snapshot="online"), self.labels)


def _side_named(param: tuple[type, str]) -> str:
    return f"{param[0].__name__}-{param[1]}"


@pytest.fixture(params=[(LocalSide, "kafka"), (ClusterSide, "kafka")], ids=_side_named)
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    make: Callable[[Path, str, ExitStack], Side]
    make, broker = request.param
    with ExitStack() as stack:
        yield make(tmp_path, request.getfixturevalue(f"{broker}_address"), stack)


def follows(count: int, seed: int, word: str = "follow") -> dict[PairKey, Label]:
    """Users of the first four hundred follow others, a few of whom nobody knows."""
    ends = np.random.default_rng(seed).integers(0, 420, size=(count, 2)).tolist()
    return {(f"u{one}", f"u{other}"): Label(word, NOON + seed) for one, other in ends if one != other}


def in_book(service: ServiceProcess) -> dict[PairKey, tuple[bool, float, float]]:
    (file,) = service.folder.glob("trainer/spaces/*/labels.db")
    with closing(LabelBook(file.parent)) as book:
        return book.labels()


def test_no_label_is_lost_on_the_way(side: Side, tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "state", {**QUICK, **LABELLED, **side.settings})
    service.folder.mkdir(exist_ok=True)
    world, first = World(), follows(900, seed=1)
    second, odd = follows(60, seed=2, word="dismiss"), {("u3", "u3"): Label("follow", NOON)}
    joining, leaving, gone = [*names(25), *names(10, start=400)], names(5, start=50), list(first)[:30]
    told = 400 + len(first) + len(second) + 10 + len(joining) + len(leaving) + len(odd) + 20
    side.users(world.rows(names(400)), [])
    side.label(first, [])
    try:
        service.start()
        service.wait_for_cycles(1)
        side.label(second, gone[:10])
        service.wait_for_step("fit", 1)
        service.kill()
        side.users(world.rows(joining), leaving)  # those who join are users of whom labels wait
        side.label(odd, gone[10:])
        service.dies_at(Point.STORING)
        service.start()
        wait_until(lambda: _settled(service, told), 120, f"all to be settled; see {service.folder / 'service.log'}")
        status, versions = service.status(), service.versions()
        assert service.stop() == 0
    finally:
        service.close()
    stored = read_all(side.store(), side.labels, (), lambda _read: None)
    values = zip(stored.positive.tolist(), stored.weight.tolist(), stored.at.tolist(), strict=True)
    assert list(stored.refused) == [("u3", "u3")]
    assert in_book(service) == dict(zip(stored.pairs, values, strict=True))
    assert status["dead_letters"] == 0
    assert status["known_labels"] > 700
    _each_event_is_of_one_version(versions, told)
    report = service.ended()[-1]
    assert report["outcome"] in {"registered", "unchanged"}, json.dumps(report)


def _each_event_is_of_one_version(versions: list[dict[str, Any]], told: int) -> None:
    """And each cycle has one version, however often it was begun (P2)."""
    assert len({version["cycle_id"] for version in versions}) == len(versions) >= 2
    spans = [span for version in versions for ranges in version["offsets"].values() for span in ranges.values()]
    assert sum(end - start for start, end in spans) == told
    resumed = versions[1]
    assert resumed["changed_labels"] >= 70, "the cycle that was killed had the labels of the first wave"


def _settled(service: ServiceProcess, told: int) -> bool:
    """Whether all events were read, and nothing of them is left to do."""
    assert service.process is not None
    assert service.process.poll() is None, service.log()[-3:]
    with closing(open_ledger(f"sqlite:///{service.state_dir / 'ledger.db'}", create=False)) as ledger:
        read = ledger.views.read().events == told
        return read and ledger.views.backlog().empty and ledger.cycles.running() is None
