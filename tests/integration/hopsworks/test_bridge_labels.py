"""`retrainer bridge --labels` as a process: an offline-only label group beside users who tell of themselves."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from schemas.events import Change, Operation, decode
from schemas.labels import LabelGroup, PairKey, pair_text
from schemas.log_events.bridge import BASELINE_TAKEN, COMPARED
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.integration.hopsworks.test_bridge import Process, Reader
from tests.waiting import wait_until
from tests.worlds import GROUP

LABELS = LabelGroup(name="follows")
NOON = 1_700_000_000_000


@pytest.fixture
def double(tmp_path: Path, kafka_address: str) -> Iterator[HopsworksDouble]:
    spec = ClusterSpec(
        group=GROUP,
        labels=LABELS,
        labels_online=False,
        ingestion_topic=f"onlinefs-{time.time_ns()}",
        notification_topic=f"changes-{time.time_ns()}",
    )
    with HopsworksDouble(tmp_path / "cluster", spec, KafkaAccess(bootstrap_servers=kafka_address)) as double:
        yield double


@pytest.fixture
def bridge(tmp_path: Path, double: HopsworksDouble, kafka_address: str) -> Iterator[Process]:
    process = Process(tmp_path / "state", double, kafka_address, str(double.notification_topic))
    process.environment |= {
        "RETRAINER_KAFKA__SOURCE": "notification",
        "RETRAINER_KAFKA__LABEL_TOPIC": f"labels-{time.time_ns()}",
    }
    yield process
    process.close()


def write(double: HopsworksDouble, labels: dict[PairKey, str], at: int, deletes: list[PairKey] | None = None) -> None:
    rows: dict[str, dict[str, Any]] = {
        pair_text(pair): {"label": label, "labelled_at": at} for pair, label in labels.items()
    }
    double.labels.store.put(rows, [pair_text(pair) for pair in deletes or []])


def changes(reader: Reader) -> list[Change]:
    found = [decode(LABELS, record.key, record.value, dict(record.headers)) for record in reader.read()]
    return [change for change in found if isinstance(change, Change)]


@pytest.mark.full
def test_labels_that_change_are_told_by_both_users(
    double: HopsworksDouble, bridge: Process, kafka_address: str
) -> None:
    write(double, {("a", "b"): "follow", ("b", "a"): "follow", ("ab", "c"): "block"}, NOON)
    bridge.start("--labels")
    assert bridge.wait_for(BASELINE_TAKEN)["labels"] == 3
    with closing(Reader(kafka_address, bridge.environment["RETRAINER_KAFKA__LABEL_TOPIC"])) as reader:
        wait_until(reader.partitions, 20, "the topic, made after the baseline")
        write(double, {("a", "b"): "dismiss", ("a", "bc"): "follow"}, NOON + 1000, [("ab", "c")])
        wait_until(lambda: len(reader.read()) >= 3, 20, "three events")
        assert {(change.key, change.operation) for change in changes(reader)} == {
            (pair_text(("a", "b")), Operation.UPSERT),
            (pair_text(("a", "bc")), Operation.UPSERT),
            (pair_text(("ab", "c")), Operation.DELETE),
        }
        write(double, {("a", "b"): "dismiss"}, NOON + 1000)  # nothing new
        bridge.wait_for(COMPARED, 2)
        assert len(reader.read()) == 3
    assert bridge.end(signal.SIGTERM) == 0


@pytest.mark.full
def test_it_refuses_what_needs_no_bridge(double: HopsworksDouble, bridge: Process) -> None:
    double.labels.online = True
    double.labels.notification_topic = "told"
    ended = bridge.call("--labels")
    assert ended.returncode == 1
    assert "follows is online-enabled and announces its changes itself" in ended.stderr
    for name in [name for name in bridge.environment if "LABEL" in name]:
        del bridge.environment[name]
    ended = bridge.call("--labels")
    assert ended.returncode == 2
    assert "RETRAINER_LABELS__NAME" in ended.stderr
