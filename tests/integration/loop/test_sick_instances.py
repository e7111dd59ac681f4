"""Several instances on one ledger, of which one cannot read: the others go on, and an operator is heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consumer.ledger.ledger import open_ledger
from schemas.cycle import CycleKind
from schemas.log_events.cycles import CYCLE_STARTED
from schemas.log_events.event import LogEvent
from schemas.log_events.listener import PARTITIONS_ASSIGNED
from schemas.log_events.service import RUNNING_CYCLES
from stores.features.local import LocalFeatureStore
from tests.brokers.apache_kafka import free_port
from tests.integration.service import QUICK, ServiceProcess
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names

pytestmark = pytest.mark.full


class Pair:
    """Two instances, `well` and `sick`, with a broker, or settings of Kafka, of its own for the latter."""

    def __init__(self, folder: Path, broker: str, **sick: str) -> None:
        self.topic = Topic.new(broker)
        self.ledger_url = f"sqlite:///{folder / 'ledger.db'}"
        self.store = LocalFeatureStore(folder / "feature_store.db", GROUP)
        shared = {
            **QUICK,
            "KAFKA__BOOTSTRAP_SERVERS": broker,
            "KAFKA__TOPIC": self.topic.name,
            "KAFKA__GROUP_ID": f"g-{self.topic.name}",
            "LEDGER__URL": self.ledger_url,
            "FEATURE_STORE__PATH": str(folder / "feature_store.db"),
            "MODEL_REGISTRY__PATH": str(folder / "registry"),
            "LEASE__PATIENCE": "4",
        }
        self.well, self.sick = ServiceProcess(folder / "well", shared), ServiceProcess(folder / "sick", shared | sick)
        for one in (self.well, self.sick):
            one.folder.mkdir()

    def fill(self) -> None:
        self.store.commit(World().rows(names(200)))
        self.topic.relay(self.store)

    def close(self) -> None:
        for one in (self.well, self.sick):
            one.close()
        self.store.close()


Make = Callable[..., Pair]


@pytest.fixture
def make(kafka_address: str, tmp_path: Path) -> Iterator[Make]:
    made: list[Pair] = []

    def pair(**sick: str) -> Pair:
        made.append(Pair(tmp_path, kafka_address, **sick))
        return made[-1]

    yield pair
    for one in made:
        one.close()


def seen(pair: Pair) -> dict[str, dict[str, Any]]:
    """The instances as `status` lists them, by their folder's name."""
    return {one["name"].rpartition("/")[2]: one for one in pair.well.status()["instances"]}


def runs(pair: Pair) -> list[str]:
    return [name for name, one in seen(pair).items() if one["runs_cycles"]]


UNREACHABLE = {"KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
OTHER_ASSIGNMENT = {"KAFKA__ASSIGNMENT": "cooperative"}


def first_sick_then_well(pair: Pair) -> None:
    """The sick one has the lease, and then it has not."""
    pair.sick.start()
    wait_until(lambda: said(pair.sick, RUNNING_CYCLES), 60, "the sick one to be first")
    pair.well.start()
    wait_until(lambda: runs(pair) == ["well"], 60, "the one that can read to run cycles")


def said(one: ServiceProcess, event: LogEvent) -> bool:
    return any(line["event"] == event for line in one.log())


def test_one_that_cannot_read_and_was_first_leaves_the_lease_to_one_that_can(make: Make) -> None:
    pair = make(**UNREACHABLE)
    pair.fill()
    first_sick_then_well(pair)
    pair.well.wait_for_cycles(1)
    called = pair.sick.call("train", "--full")
    assert called.returncode == 0, called
    assert [line["reason"] for line in pair.well.log() if line["event"] == CYCLE_STARTED][1:] == ["operator asked"]
    assert not said(pair.sick, CYCLE_STARTED)
    assert runs(pair) == ["well"]


def test_where_nobody_can_read_an_operator_is_heard_all_the_same(make: Make) -> None:
    pair = make(**UNREACHABLE)
    pair.fill()
    pair.sick.start()
    wait_until(lambda: said(pair.sick, RUNNING_CYCLES), 60, "it to run cycles")
    with closing(open_ledger(pair.ledger_url)) as ledger:
        ledger.retrain_requests.ask(CycleKind.FULL, "operator", time.time())
    wait_until(lambda: said(pair.sick, CYCLE_STARTED), 60, "a cycle for the operator")


def test_one_whose_topic_is_not_there_says_so_and_leaves_the_lease_too(make: Make) -> None:
    pair = make(KAFKA__TOPIC="not-there")
    first_sick_then_well(pair)
    assert str(seen(pair)["sick"]["unable"]).startswith("waiting for broker: topic not-there does not exist yet")
    assert "not-there does not exist" in pair.sick.call("status").stdout.replace("\n", " ")


def test_one_that_does_not_get_into_the_group_holds_nobody_up(make: Make) -> None:
    pair = make(**OTHER_ASSIGNMENT)
    pair.well.start()
    wait_until(lambda: said(pair.well, PARTITIONS_ASSIGNED), 60, "the well one to listen")
    pair.sick.start()
    wait_until(lambda: "RETRAINER_KAFKA__ASSIGNMENT" in str(seen(pair).get("sick", {}).get("unable")), 60, "a refusal")
    pair.fill()
    pair.well.wait_for_cycles(1)
    assert runs(pair) == ["well"]
