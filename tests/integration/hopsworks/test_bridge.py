"""The bridge as a process, on an Apache Kafka and a double of Hopsworks whose group is offline-only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from kafka import KafkaConsumer, TopicPartition

from consumer.configuration.bridge import BridgeSettings
from consumer.configuration.kafka import KafkaSettings
from retrainer.bridge.bridge import Bridge
from retrainer.bridge.orders import Orders
from retrainer.bridge.ports import Link, TopicState
from retrainer.bridge.publishing import KafkaTopic
from retrainer.bridge.state import BridgeState
from schemas.events import Change, Operation, decode, encode
from schemas.log_events.bridge import BASELINE_TAKEN, BRIDGE_STOPPED, BRIDGE_TROUBLE, COMPARED
from schemas.log_events.event import LogEvent
from stores.errors import NotThere
from stores.hopsworks.commits import GroupCommits
from tests.brokers.apache_kafka import ApacheKafka
from tests.hopsworks_double import ClusterSpec, Fault, HopsworksDouble, KafkaAccess, Stall, Status
from tests.hopsworks_double.clients.session import session_of
from tests.integration.service import RETRAINER
from tests.unit.retrainer.bridge.bridging import GROUP as FEW
from tests.unit.retrainer.bridge.bridging import Group
from tests.waiting import wait_until, within
from tests.worlds import GROUP, World, names

UPSERT, DELETE = Operation.UPSERT, Operation.DELETE
USERS = 2000


class Reader:
    """Reads a topic from its beginning, as far as it goes, like a service that joined late."""

    def __init__(self, broker: str, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self._consumer: Any = None
        self.records: list[Any] = []

    def read(self) -> list[Any]:
        """All records so far; none where there is no topic."""
        if self._consumer is None:
            consumer: Any = KafkaConsumer(
                bootstrap_servers=self._broker, auto_offset_reset="earliest", isolation_level="read_committed"
            )
            numbers = consumer.partitions_for_topic(self._topic)
            if not numbers:
                consumer.close()
                return []
            consumer.assign([TopicPartition(self._topic, number) for number in numbers])
            self._consumer = consumer
        for batch in self._consumer.poll(timeout_ms=200).values():
            self.records += batch
        return self.records

    def partitions(self) -> int:
        """How many there are; 0 where there is no topic."""
        self.read()
        return len(self._consumer.assignment()) if self._consumer is not None else 0

    def changes(self) -> list[Change]:
        """What the events say, in the order of each user's."""
        return [event_of(record) for record in self.read()]

    def forget(self) -> None:
        """The records so far have been looked at."""
        self.read()
        self.records.clear()

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()


def event_of(record: Any) -> Change:
    change = decode(GROUP, record.key, record.value, dict(record.headers))
    assert isinstance(change, Change)
    assert record.key == change.key.encode()
    return change


def commit_of(record: Any) -> int:
    return int(dict(record.headers)["commitId"])


class Process:
    """`retrainer bridge` on a state folder."""

    def __init__(self, folder: Path, double: HopsworksDouble, broker: str, topic: str) -> None:
        self.folder = folder
        self.topic = topic
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RETRAINER_")}
        own = {
            "STATE_DIR": str(folder),
            "FEATURE_GROUP__COLUMNS": json.dumps([column.model_dump() for column in GROUP.columns]),
            "KAFKA__BOOTSTRAP_SERVERS": broker,
            "KAFKA__TOPIC": topic,
            "KAFKA__SOURCE": "bridge",
            "BRIDGE__POLL_INTERVAL": "0.2",
            "BRIDGE__CHUNK": "20",
            "HOPSWORKS__REQUEST_TIMEOUT": "2",
            "HOPSWORKS__RETRY_FOR": "1",
            "LOG__FORMAT": "json",
        }
        named = {f"RETRAINER_{name}": value for name, value in own.items()}
        self.environment = {**inherited, **double.environment(), **named}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "bridge.log").open("ab") as log:
            command = [str(RETRAINER), "bridge", *options]
            self.process = subprocess.Popen(command, env=self.environment, stderr=log)

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(100)
        self.process = None
        return code

    def call(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [str(RETRAINER), "bridge", *options]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "bridge.log").read_text().splitlines()]

    def logged(self, event: LogEvent) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == event]

    def wait_for(self, event: LogEvent, count: int = 1) -> dict[str, Any]:
        """Until it has logged an event `count` times; gives the last."""

        def found() -> list[dict[str, Any]]:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the bridge ended: {(self.folder / 'bridge.log').read_text()[-3000:]}")
            lines = self.logged(event)
            return lines if len(lines) >= count else []

        return wait_until(found, 40, f"'{event}'; see {self.folder / 'bridge.log'}")[-1]

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def double(tmp_path: Path, kafka_address: str) -> Iterator[HopsworksDouble]:
    spec = ClusterSpec(group=GROUP, online=False)
    with HopsworksDouble(tmp_path / "cluster", spec, KafkaAccess(bootstrap_servers=kafka_address)) as double:
        yield double


@pytest.fixture
def bridge(tmp_path: Path, double: HopsworksDouble, kafka_address: str) -> Iterator[Process]:
    process = Process(tmp_path / "state", double, kafka_address, f"changes-{tmp_path.name}-{time.time_ns()}")
    yield process
    process.close()


@pytest.fixture
def reader(bridge: Process, kafka_address: str) -> Iterator[Reader]:
    with closing(Reader(kafka_address, bridge.topic)) as reader:
        yield reader


@pytest.mark.full
def test_a_group_is_watched_through_deletes_kills_and_absences(
    double: HopsworksDouble, bridge: Process, reader: Reader, tmp_path: Path
) -> None:
    world = World()
    double.store.put(world.rows(names(USERS)))
    bridge.start()
    assert bridge.wait_for(BASELINE_TAKEN)["users"] == USERS
    wait_until(reader.partitions, 10, "the topic, made after the baseline")
    assert reader.partitions() == 3

    # A commit is a change event for each user that differs, with its number, and a delete for each that is gone.
    row = world.row()
    double.store.put({"u1": row, "new": row, "u2": {**row, "habit": None}}, ["u3", "u4"])
    wait_until(lambda: len(reader.read()) >= 5, 20, "five events")
    expected = {("u1", UPSERT), ("new", UPSERT), ("u2", UPSERT), ("u3", DELETE), ("u4", DELETE)}
    assert {(change.key, change.operation) for change in reader.changes()} == expected
    assert {commit_of(record) for record in reader.records} == {double.store.commits[-1].id}
    assert reader.records[0].value == encode(
        GROUP.model_copy(update={"id": double.feature_group_id, "feature_store_id": double.feature_store_id}),
        event_of(reader.records[0]).key,
    )

    # A commit that brings nothing new brings no event.
    double.store.put({"u1": row})
    bridge.wait_for(COMPARED, 2)
    assert len(reader.read()) == 5

    # The cluster goes, a commit is made meanwhile by somebody, and it comes back.
    double.control_plane.stop()
    bridge.wait_for(BRIDGE_TROUBLE)
    double.store.put({"u5": row}, ["u6"])
    double.control_plane.start()
    wait_until(lambda: len(reader.read()) >= 7, 30, "the events of the commit that was made meanwhile")
    assert [change.key for change in reader.changes()[5:]] == ["u5", "u6"]

    # Killed in the middle of many changes; what was told before is told again at most once, and nothing is left out.
    reader.forget()
    changed, gone = names(1200, start=100), names(400, start=1400)
    double.store.put(world.rows(changed), gone)
    wait_until(lambda: len(reader.read()) >= 100, 20, "the first events of many")
    bridge.end(signal.SIGKILL)
    assert len(bridge.logged(COMPARED)) == 3, "killed too late to see anything"
    double.store.put(world.rows(names(50, start=100)))
    bridge.start()
    bridge.wait_for(COMPARED, 4)
    wait_until(lambda: len({change.key for change in reader.changes()}) >= 1600, 20, "all the users")
    last = {change.key: change.operation for change in reader.changes()}
    assert last == {**dict.fromkeys(changed, UPSERT), **dict.fromkeys(gone, DELETE)}
    newest = {event_of(record).key: commit_of(record) for record in reader.records}
    assert all(newest[user] == double.store.commits[-1].id for user in names(50, start=100))
    assert len(reader.records) <= 1600 + 50 + 20

    # One bridge a group: neither from the same state nor from another machine without it.
    assert "another retrainer works on" in bridge.call("--once").stderr
    with within(8):
        assert bridge.end(signal.SIGTERM) == 0
    assert bridge.log()[-1]["event"] == BRIDGE_STOPPED
    elsewhere = Process(tmp_path / "elsewhere", double, reader._broker, bridge.topic)
    refused = elsewhere.call("--once")
    assert refused.returncode == 1
    assert "another bridge" in refused.stderr
    assert "--new-baseline" in refused.stderr

    # More deletes than are plausible are held back until somebody accepts them.
    reader.forget()
    everybody = set(double.store.offline)
    double.store.put({"u1": world.row()}, everybody - {"u1"})
    held = bridge.call("--once")
    assert held.returncode == 1
    assert "--accept-deletes" in held.stderr
    assert [(change.key, change.operation) for change in reader.changes()] == [("u1", UPSERT)]
    assert bridge.call("--once", "--accept-deletes").returncode == 0
    wait_until(lambda: len(reader.read()) == len(everybody), 20, "the deletes")
    assert {change.key for change in reader.changes() if change.operation is DELETE} == everybody - {"u1"}
    secrets = [double.api_key, double.cluster.online_password, double.pki.password]
    written = (bridge.folder / "bridge.log").read_text() + held.stderr + refused.stderr
    assert not [secret for secret in secrets if secret in written]


@pytest.mark.full
def test_a_query_service_that_hangs_does_not_keep_it_from_stopping(double: HopsworksDouble, bridge: Process) -> None:
    double.store.put(World().rows(names(10)))
    bridge.start()
    bridge.wait_for(BASELINE_TAKEN)
    fault = double.faults.add(Fault("flight", "do_get", Stall()))
    double.store.put(World().rows(names(1)))
    wait_until(lambda: fault.hits, 20, "the query service to hang")
    with within(10):
        assert bridge.end(signal.SIGTERM) == 0
    assert "in the middle" in bridge.log()[-1]["event"]


@pytest.mark.full
def test_a_group_that_needs_no_bridge_or_cannot_have_one_is_refused(tmp_path: Path, kafka_address: str) -> None:
    kafka = KafkaAccess(bootstrap_servers=kafka_address)
    with HopsworksDouble(tmp_path / "a", ClusterSpec(group=GROUP), kafka) as double:
        ended = Process(tmp_path / "sa", double, kafka_address, "unused").call("--once")
        assert (ended.returncode, "online-enabled" in ended.stderr) == (1, True)
        another = Process(tmp_path / "sa", double, kafka_address, "unused")
        another.environment["RETRAINER_KAFKA__SOURCE"] = "notification"
        ended = another.call("--once")
        assert (ended.returncode, "RETRAINER_KAFKA__SOURCE" in ended.stderr) == (2, True)
    with HopsworksDouble(tmp_path / "b", ClusterSpec(group=GROUP, online=False, time_travel="NONE"), kafka) as double:
        ended = Process(tmp_path / "sb", double, kafka_address, "unused").call("--once")
        assert (ended.returncode, "keeps no commits" in ended.stderr) == (1, True)


def test_commits_are_named_newest_first_and_an_answer_without_any_is_none(tmp_path: Path) -> None:
    with HopsworksDouble(tmp_path, ClusterSpec(group=GROUP, online=False)) as double, session_of(double) as session:
        commits = GroupCommits(session, GROUP)
        double.faults.add(Fault("control", "/commits", Status(200, body=b'{"href": "x", "count": 0}')))
        assert commits.recent() == ()
        assert commits.recent() == ()
        for _ in range(30):
            double.store.put({"u1": World().row()})
        assert commits.recent() == tuple(commit.id for commit in double.store.commits[:-21:-1])
        double.faults.add(Fault("control", "/commits", Status(503), times=2))
        assert len(commits.recent()) == 20
        double.faults.add(Fault("control", "/commits", Status(404, error_code=270009)))
        with pytest.raises(NotThere):
            commits.recent()


def topic_at(broker: str) -> KafkaTopic:
    name = f"changes-{time.time_ns()}"
    return KafkaTopic(KafkaSettings(bootstrap_servers=[broker], topic=name, source="bridge"), GROUP, 3)


def test_a_second_writer_shows_in_the_offsets(broker: str) -> None:
    with closing(topic_at(broker)) as ours:
        other = KafkaTopic(KafkaSettings(bootstrap_servers=[broker], topic=ours.name), GROUP, 3)
        assert ours.state() is TopicState.MISSING
        ours.create()
        ours.create()
        assert ours.state() is TopicState.EMPTY
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                ours.publish([Change(user, UPSERT) for user in names(500)], 1)
            assert logs == []
            with closing(other):
                other.publish([Change(user, DELETE) for user in names(40)], 2)
            ours.publish([Change(user, UPSERT) for user in names(500)], 3)
            ours.publish([Change(user, UPSERT) for user in names(500)], 4)
        assert [(line["log_level"], line["records"]) for line in logs] == [("error", 40)]
        assert ours.state() is TopicState.USED


@pytest.mark.full
def test_a_broker_that_is_away_is_waited_for(tmp_path: Path, kafka_can_run: None) -> None:
    broker, group, stopping = ApacheKafka(tmp_path), Group(), threading.Event()
    broker.start()
    topic = topic_at(broker.address)

    def watch() -> None:
        with closing(BridgeState(tmp_path / "state.db")) as state:
            link = Link(FEW, group, group, topic)
            Bridge(BridgeSettings(poll_interval=0.1), state, lambda: link, Orders(), stopping).run()

    thread = threading.Thread(target=watch)
    group.commit({"u1": 1.0, "u2": 1.0})
    thread.start()
    try:
        with closing(Reader(broker.address, topic.name)) as reader:
            wait_until(reader.partitions, 20, "the topic")
            group.commit({"u1": 2.0})
            wait_until(lambda: len(reader.read()) == 1, 20, "the first event")
            broker.stop()
            snapshots = group.snapshots
            group.commit({"u2": 2.0})
            wait_until(lambda: group.snapshots > snapshots, 20, "the next comparison")
            broker.start()
            wait_until(lambda: len(reader.read()) >= 2, 40, "the second event")
            assert {record.key for record in reader.records} == {b"u1", b"u2"}
    finally:
        stopping.set()
        thread.join(10)
        broker.stop()
    assert not thread.is_alive()
