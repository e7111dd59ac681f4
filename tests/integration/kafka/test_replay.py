"""`retrainer replay` on real brokers: every record of the window, by its own time, and nothing beside."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from typer.testing import CliRunner

from consumer.errors import ConsumerError
from consumer.ledger.ledger import open_ledger
from retrainer.cli.replay import replay
from schemas.cycle import CycleKind
from schemas.events import encode
from tests.cli import command
from tests.integration.service import RETRAINER
from tests.integration.stand_in import StandIn
from tests.integration.topics import Topic
from tests.waiting import wait_until, within
from tests.worlds import GROUP

HOUR = 3_600_000
ANY_TIME = {"message_timestamp_after_max_ms": str(2**63 - 1), "message_timestamp_before_max_ms": str(2**63 - 1)}
NOW = int(time.time()) * 1000
TEN = [(f"u{n}", NOW - 2 * HOUR + n) for n in range(10)]
WINDOW = ("--from", str((NOW - 3 * HOUR) // 1000), "--to", str(NOW - HOUR))


class Told(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Replaying:
    """The command on a topic of its own; `settings` are named without the prefix."""

    folder: Path
    topic: Topic
    settings: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        given = {
            "STATE_DIR": str(self.folder / "state"),
            "KAFKA__BOOTSTRAP_SERVERS": self.topic.broker,
            "KAFKA__TOPIC": self.topic.name,
            "FEATURE_GROUP__NAME": GROUP.name,
            "FEATURE_GROUP__COLUMNS": json.dumps([column.model_dump() for column in GROUP.columns]),
            "TRAINER__WARM": "false",
            **self.settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RETRAINER_")}
        return {**inherited, **{f"RETRAINER_{name}": value for name, value in given.items()}, "COLUMNS": "400"}

    def call(self, *arguments: str, command: str = "replay") -> subprocess.CompletedProcess[str]:
        line = [str(RETRAINER), command, *arguments]
        return subprocess.run(line, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False)

    def try_(self, *arguments: str) -> Told:
        """A dry run, in this process: a new one takes seconds for its imports."""
        done = CliRunner().invoke(command(replay), [*arguments, "--dry-run"], env=self.environment)
        if isinstance(done.exception, ConsumerError):
            return Told(1, done.stdout, done.stderr + str(done.exception))
        return Told(done.exit_code, done.stdout, done.stderr)

    def found(self, *arguments: str) -> dict[str, Any]:
        """What a dry run finds."""
        done = self.try_(*arguments, "--json")
        assert done.returncode == 0, done
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def send(self, records: Sequence[tuple[str, int]], partition: int = 0, **options: Any) -> None:
        """Change events of users at times."""
        with closing(KafkaProducer(bootstrap_servers=self.topic.broker, acks="all", **options)) as producer:
            sent = [
                producer.send(
                    self.topic.name, key=user.encode(), value=encode(GROUP, user), timestamp_ms=at, partition=partition
                )
                for user, at in records
            ]
            for future in sent:
                future.get(30)

    def spans(self, found: Mapping[str, Any], partition: int = 0) -> list[list[int]]:
        spans: list[list[int]] = found["ranges"].get(self.topic.name, {}).get(str(partition), [])
        return spans


Make = Callable[..., Replaying]


@pytest.fixture(autouse=True)
def _logs_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrainer.cli.replay.configure", lambda _: None)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the replaying for a broker, with a topic that is there."""

    def made(broker: str, partitions: int = 1, configs: Mapping[str, str] = {}, **settings: str) -> Replaying:
        return Replaying(tmp_path, Topic.new(broker, partitions, **configs), settings)

    return made


ODD = {
    "times rise": ([("before", NOW - 5 * HOUR), *TEN, ("after", NOW - HOUR // 2)], [[1, 11]], 0),
    "the first is of the year 2040": ([("ahead", 2_208_988_800_000), *TEN], [[1, 11]], 1),
    "one in the middle is later": ([*TEN[:5], ("later", NOW), *TEN[5:]], [[0, 5], [6, 11]], 0),
    "one in the middle is earlier": ([*TEN[:5], ("earlier", NOW - 9 * HOUR), *TEN[5:]], [[0, 5], [6, 11]], 0),
    "times fall": ([("after", NOW), *reversed(TEN), ("before", NOW - 9 * HOUR)], [[1, 11]], 0),
    "one is in microseconds": ([("micro", 1000 * (NOW - 2 * HOUR)), *TEN], [[1, 11]], 1),
    "one is in seconds": ([*TEN, ("seconds", (NOW - 2 * HOUR) // 1000)], [[0, 10]], 1),
    "the ends of the window": ([*TEN, ("at --from", NOW - 3 * HOUR), ("at --to", NOW - HOUR)], [[0, 11]], 0),
}


@pytest.mark.full
@pytest.mark.parametrize("what", ODD)
def test_a_record_counts_by_its_own_time_whatever_is_around_it(broker: str, make: Make, what: str) -> None:
    records, spans, odd = ODD[what]
    replaying = make(broker, configs=ANY_TIME)
    replaying.send(records)
    found = replaying.found(*WINDOW)
    assert replaying.spans(found) == spans
    assert (found["events"], found["read"], found["odd_times"]) == (
        sum(end - start for start, end in spans),
        len(records),
        odd,
    )
    assert not open_ledger_exists(replaying), "a dry run makes no ledger"


def open_ledger_exists(replaying: Replaying) -> bool:
    return (replaying.folder / "state" / "ledger.db").exists()


def test_large_batches_are_read_to_their_end(broker: str, make: Make) -> None:
    """Tansu says that a log ends where its last batch begins, and finds by time of arrival."""
    replaying = make(broker, partitions=2)
    for partition in range(2):
        replaying.send([(f"u{n}", NOW - 2 * HOUR + n) for n in range(3000)], partition, linger_ms=50)
    found = replaying.found(*WINDOW)
    assert [replaying.spans(found, partition) for partition in range(2)] == [[[0, 3000]], [[0, 3000]]]
    assert (found["events"], found["users"]) == (6000, 3000)


def test_only_some_offsets_and_only_some_users(broker: str, make: Make) -> None:
    replaying = make(broker, partitions=2)
    for partition in range(2):
        replaying.send([(f"u{n}", NOW - HOUR * 2) for n in range(20)], partition)
    found = replaying.found("--offsets", "0:3-7", "--offsets", f"{replaying.topic.name}:0:15-", "--offsets", "1:0-1")
    assert [replaying.spans(found, partition) for partition in range(2)] == [[[3, 7], [15, 20]], [[0, 1]]]
    users = replaying.folder / "users.txt"
    users.write_text("u4\nu17\nnobody\n")
    found = replaying.found(*WINDOW, "--users", str(users))
    assert [replaying.spans(found, partition) for partition in range(2)] == [[[4, 5], [17, 18]]] * 2
    assert (found["events"], found["users"], found["users_without_events"]) == (4, 2, 1)
    both = replaying.found(*WINDOW, "--offsets", "0:0-10", "--users", str(users))
    assert (replaying.spans(both), both["read"]) == ([[4, 5]], 10)
    for offsets, said in (("0:3-70", "ends at 20"), ("0:50-70", "ends at 20"), ("7", "partitions 0 to 1")):
        beyond = replaying.try_("--offsets", offsets)
        assert (beyond.returncode, said in beyond.stderr) == (1, True), beyond


def test_what_retention_has_removed_is_told_and_can_be_left_out(kafka_address: str, make: Make) -> None:
    replaying = make(kafka_address, partitions=2)
    replaying.send([("before", NOW - 5 * HOUR), *TEN], 0)
    replaying.send([("before", NOW - 5 * HOUR), *TEN], 1)
    with closing(KafkaAdminClient(bootstrap_servers=kafka_address)) as admin:
        admin.delete_records({TopicPartition(replaying.topic.name, 0): 6})
    gone = replaying.try_(*WINDOW)
    assert gone.returncode == 1
    assert f"{replaying.topic.name}[0]: offsets 0 to 6 are gone: it begins at 6 now" in gone.stderr
    assert f"{replaying.topic.name}[1]" not in gone.stderr
    assert "--allow-missing" in gone.stderr
    by_offset = replaying.try_("--offsets", "0:3-9")
    assert (by_offset.returncode, "offsets 3 to 6 are gone" in by_offset.stderr) == (1, True), by_offset
    found = replaying.found(*WINDOW, "--allow-missing")
    assert (found["events"], replaying.spans(found), replaying.spans(found, 1)) == (15, [[6, 11]], [[1, 11]])
    assert len(found["missing"]) == 1
    assert "offsets 0 to 6 are gone" in found["missing"][0]
    later = (str(NOW - 2 * HOUR + 7), str(NOW - HOUR))
    whole = replaying.found("--from", later[0], "--to", later[1])
    assert (whole["events"], whole["missing"]) == (6, []), "the partition reaches back to before this window"
    with closing(KafkaAdminClient(bootstrap_servers=kafka_address)) as admin:
        admin.delete_records({TopicPartition(replaying.topic.name, 0): 11})
    empty = replaying.try_(*WINDOW)
    assert (empty.returncode, "offsets 0 to 11 are gone" in empty.stderr) == (1, True), empty


def test_transactions_that_are_aborted_or_open_are_not_replayed_and_markers_are_passed(
    kafka_address: str, make: Make
) -> None:
    replaying = make(kafka_address)
    producer = KafkaProducer(bootstrap_servers=kafka_address, transactional_id=f"tx-{uuid4().hex[:8]}")
    with closing(producer):
        producer.init_transactions()
        for user, end in (
            ("a", producer.commit_transaction),
            ("b", producer.abort_transaction),
            ("c", producer.commit_transaction),
        ):
            producer.begin_transaction()
            producer.send(replaying.topic.name, encode(GROUP, user), user.encode(), timestamp_ms=NOW - 2 * HOUR).get(20)
            end()
        found = replaying.found(*WINDOW)
        assert (found["users"], found["events"], found["held_by_open_transactions"]) == (2, 2, 0)
        assert replaying.spans(found) == [[0, 5]]  # nothing between is a record that was left out
        producer.begin_transaction()
        producer.send(replaying.topic.name, encode(GROUP, "d"), b"d", timestamp_ms=NOW - 2 * HOUR).get(20)
        replaying.send([("e", NOW - 2 * HOUR)])
        told = replaying.try_(*WINDOW)
        assert told.returncode == 0
        assert "2 events of 2 users" in told.stdout
        assert f"{replaying.topic.name}[0]: 2 offsets from 6 on are not read" in told.stdout
        producer.commit_transaction()
    assert replaying.found(*WINDOW)["users"] == 4


def test_what_is_surely_earlier_is_passed_over_where_the_broker_indexes_by_record_time(broker: str, make: Make) -> None:
    replaying = make(broker)
    replaying.send([(f"early{n}", NOW - 9 * HOUR + n) for n in range(4000)], linger_ms=20, batch_size=2000)
    replaying.send([("ahead", NOW), *TEN, ("early", NOW - 8 * HOUR), ("late", NOW - 2 * HOUR)])
    found = replaying.found(*WINDOW)
    assert (found["events"], replaying.spans(found)) == (11, [[4001, 4011], [4012, 4013]])
    if "[kafka]" in os.environ.get("PYTEST_CURRENT_TEST", ""):
        assert (found["read"], found["skipped_by_time"]) == (1013, 3000)
    else:
        assert (found["read"], found["skipped_by_time"]) == (4013, 0)


@pytest.mark.full
def test_a_replay_that_is_killed_goes_on_and_is_learned_once(tansu_address: str, make: Make) -> None:
    replaying = make(tansu_address, partitions=2)
    StandIn(replaying.folder).will({"outcome": "registered", "version": 1})
    for partition in range(2):
        replaying.send([(f"u{partition}-{n}", NOW - 2 * HOUR) for n in range(900)], partition)
    line = [str(RETRAINER), "replay", *WINDOW]
    slowly = [*line, "--max-rate", "150"]
    process = subprocess.Popen(slowly, env=replaying.environment, cwd=replaying.folder, stderr=subprocess.DEVNULL)
    folders = replaying.folder / "state" / "replays"
    wait_until(lambda: _chunks(folders) >= 1, 40, "a chunk that is kept")
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = replaying.call(*WINDOW)
    assert done.returncode == 0, done
    assert "going on with the replay that was cut short" in done.stderr
    read_before = int(done.stderr.split(": ")[1].split(" records were read")[0].split()[-1])
    assert 0 < read_before < 1800
    assert "1800 events of 1800 users" in done.stdout
    assert "registered as version 1" in done.stdout
    assert not list(folders.iterdir())
    with closing(open_ledger(f"sqlite:///{replaying.folder / 'state' / 'ledger.db'}")) as ledger:
        (replayed,) = ledger.replays.every()
        assert replayed["ranges"] == {replaying.topic.name: {0: ((0, 900),), 1: ((0, 900),)}}
        assert (replayed["events"], replayed["outcome"], replayed["version"]) == (1800, "registered", 1)


def _chunks(folders: Path) -> int:
    """How many chunks are kept of the one replay there is."""
    for file in folders.glob("*/read.db"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as database:
            parts: int = database.execute("SELECT count(*) FROM parts").fetchone()[0]
            return parts - 1
    return 0


@pytest.mark.full
def test_replays_that_one_cycle_learns_are_ranges_of_their_own(tansu_address: str, make: Make) -> None:
    replaying = make(tansu_address)
    trainer = StandIn(replaying.folder)
    trainer.will({"outcome": "inconclusive"}, {"outcome": "registered", "version": 1})
    replaying.send([(f"u{n}", NOW - 2 * HOUR) for n in range(100)])
    assert replaying.call("--offsets", "0:0-6").returncode == 0
    done = replaying.call("--offsets", "0:94-100", "--json")
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert (told["cycle"]["state"], told["cycle"]["result"]["version"]) == ("registered", 1)
    spans = [[0, 6], [94, 100]]
    assert told["cycle"]["lineage"]["replayed"] == {replaying.topic.name: {"0": spans}}
    assert trainer.requests()[-1]["lineage"]["replayed"] == {replaying.topic.name: {"0": spans}}
    (version,) = json.loads(replaying.call("--json", command="versions").stdout)
    assert version["replayed"] == {replaying.topic.name: {"0": spans}}
    listed = json.loads(replaying.call("list", "--json", command="replays").stdout)
    assert [(one["ranges"][replaying.topic.name]["0"], one["outcome"]) for one in listed] == [
        ([[0, 6]], "registered"),
        ([[94, 100]], "registered"),
    ]
    table = replaying.call("list", command="replays").stdout
    assert "0 to 6" in table
    assert "registered as version 1" in table


def test_a_missing_topic_is_told_at_once_and_a_broker_that_is_away_after_the_deadline(
    tansu_address: str, tmp_path: Path
) -> None:
    missing = Replaying(tmp_path, Topic(tansu_address, "nowhere"), {})
    with within(10):
        told = missing.try_("--last", "2h")
    assert told.returncode == 1
    assert f"topic nowhere does not exist on {tansu_address}" in told.stderr
    assert "RETRAINER_KAFKA__TOPIC" in told.stderr
    away = Replaying(tmp_path, Topic("127.0.0.1:9", "nowhere"), {})
    with within(10):
        told = away.try_("--last", "2h", "--timeout", "2")
    assert told.returncode == 1
    assert "broker 127.0.0.1:9 did not answer" in told.stderr
    assert "for 2 s (--timeout)" in told.stderr


@pytest.mark.full
def test_a_broker_that_goes_away_meanwhile_ends_the_replay_and_what_was_read_is_kept(
    own_kafka: Any, make: Make
) -> None:
    replaying = make(own_kafka.address)
    replaying.topic.send([(b"k", b"x" * 4000, ())] * 4000)  # more than the client fetches ahead
    line = [str(RETRAINER), "replay", *WINDOW, "--dry-run", "--max-rate", "200", "--timeout", "5"]
    process = subprocess.Popen(line, env=replaying.environment, cwd=replaying.folder, stderr=subprocess.PIPE, text=True)
    folders = replaying.folder / "state" / "replays"
    wait_until(lambda: _chunks(folders) >= 1, 40, "a chunk that is kept")
    own_kafka.freeze()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "for 5 s (--timeout)" in said
    own_kafka.thaw()
    assert "going on" in replaying.try_(*WINDOW).stderr


@pytest.fixture
def own_kafka(kafka_can_run: None, tmp_path: Path) -> Iterator[Any]:
    """An Apache Kafka that may be frozen."""
    from tests.brokers.apache_kafka import ApacheKafka

    folder = tmp_path / "kafka"
    folder.mkdir()
    broker = ApacheKafka(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.mark.full
def test_nobody_waits_for_ever_for_a_service_that_does_not_take_up_the_request(tansu_address: str, make: Make) -> None:
    """Somebody holds the lease, renews it, and runs nothing; later nobody does."""
    replaying = make(tansu_address, LEASE__PATIENCE="3")
    StandIn(replaying.folder).will({"outcome": "registered", "version": 1})
    replaying.send(TEN)
    with closing(open_ledger(f"sqlite:///{replaying.folder / 'state' / 'ledger.db'}")) as ledger:
        lease = ledger.leases.take("idler", None, 1.0)
        assert lease is not None
        for arguments, which, said in (
            (("--full",), "train", "it is withdrawn"),
            (WINDOW, "replay", "it stays"),
        ):
            line = [str(RETRAINER), which, *arguments, "--timeout", "3"]
            waiting = subprocess.Popen(
                line, env=replaying.environment, cwd=replaying.folder, stderr=subprocess.PIPE, text=True
            )
            while waiting.poll() is None:
                lease = ledger.leases.renew(lease, time.time()) or lease
                time.sleep(0.2)
            assert waiting.stderr is not None
            told = waiting.stderr.read()
            assert (waiting.returncode, "idler runs cycles and has not taken up the request for 3 s" in told) == (
                1,
                True,
            ), told
            assert said in told
        assert ledger.retrain_requests.open("operator") is CycleKind.BACKFILL
        again = replaying.call(*WINDOW)
        assert "was read and stored before" in again.stderr
        assert (again.returncode, "registered as version 1" in again.stdout) == (0, True), again
        assert len(ledger.replays.every()) == 1
