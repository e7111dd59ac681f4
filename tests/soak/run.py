"""One run: a broker, a service, commits all the time, stops of the broker as planned, and what is measured meanwhile.

It judges nothing. Everything it sees is in files of its folder, so that a run can be judged and drawn again:
`run.json`, `samples.jsonl` (every ten seconds), `trainers.jsonl` (one line for each that has ended), `broker.jsonl`
(when it was stopped and started), `topic.json` (what the topic held at the end), and the service's own `state/`; of a
run that is watched also `scrapes.jsonl` and `tab.jsonl`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from kafka import KafkaConsumer, TopicPartition

from retrainer.relay import ensure_topic
from tests.brokers.apache_kafka import LASTING, ApacheKafka, Node, free_port
from tests.integration.service import ServiceProcess
from tests.soak.crowd import Crowd
from tests.soak.plan import Stop, stops
from tests.soak.sampling import Trainers, append, ledger, sample
from tests.soak.stream import GARBAGE_KEY, LISTENER_KEY, OTHER_KEY, Stream, fill
from tests.soak.watched import watched
from tests.waiting import wait_until

TOPIC, PARTITIONS = "feature-changes", 3
USERS = 2_500
_SAMPLE_EVERY, _LOOK_EVERY, _TELL_EVERY = 10.0, 1.0, 300.0

SETTINGS = {
    "KAFKA__TOPIC": TOPIC,
    "KAFKA__GROUP_ID": "soak",
    "TRIGGER__CHANGED_USERS": "150",
    "TRIGGER__MIN_INTERVAL": "40",
    "TRIGGER__QUIET_PERIOD": "0",  # it is never quiet here
    "TRIGGER__MAX_STALENESS": "600",
    "TRIGGER__MAX_BACKOFF": "40",  # cycles are what it is about, whatever comes of them
    "TRIGGER__MAX_FULL_PER_DAY": "1000",
    "GATE__REGISTER_UNCHANGED": "true",  # its listeners are easy: without it, one version would do for all
    "HTTP__ENABLED": "true",
    "HTTP__PORT": "0",
    "LOG__FORMAT": "json",
    "LEDGER__REMEMBER": "true",  # who was learned is looked up at the end
}


class Broker:
    """The broker and its bad days: a thread stops and starts it, the others go on meanwhile."""

    def __init__(self, folder: Path, marks: Path) -> None:
        folder.mkdir()
        self._kafka = ApacheKafka(folder, node=Node(1, {1: free_port()}, jvm=LASTING))
        self._marks = marks
        self._ended = threading.Event()
        self._up = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None
        self.address = self._kafka.address

    @property
    def up(self) -> bool:
        return self._up.is_set()

    def start(self) -> None:
        self._kafka.start()
        self._up.set()

    def follow(self, plan: list[Stop], began: float) -> None:
        """Stop and start as planned, in a thread of its own."""
        self._thread = threading.Thread(target=self._follow, args=(plan, began), name="broker", daemon=True)
        self._thread.start()

    def _follow(self, plan: list[Stop], began: float) -> None:
        try:
            for stop in plan:
                if self._ended.wait(max(0.0, began + stop.at - time.time())):
                    return
                self._up.clear()
                append(self._marks, {"at": time.time(), "what": "stopped", "away": stop.away})
                self._kafka.stop()
                self._ended.wait(stop.away)
                self._kafka.start()
                self._up.set()
                append(self._marks, {"at": time.time(), "what": "started"})
        except BaseException as error:  # noqa: BLE001  (the main thread asks for it)
            self.failure = error

    def close(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(90)
        self._kafka.stop()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which run is wanted: how long from the first version on, whether somebody watches, whether the broker stays."""

    minutes: float
    watched: bool = False
    steady: bool = False


def run(folder: Path, wanted: Wanted, say: Callable[[str], None], facts: Mapping[str, Any]) -> None:
    """A run as it is wanted; all it finds is in `folder`, which must be new."""
    folder.mkdir(parents=True)
    state = folder / "state"
    state.mkdir()
    with ExitStack() as stack:
        broker = Broker(folder / "kafka", folder / "broker.jsonl")
        stack.callback(broker.close)
        broker.start()
        ensure_topic({"bootstrap_servers": broker.address}, TOPIC, PARTITIONS)
        crowd = Crowd(USERS, seed=5)
        fill(state / "feature_store.db", crowd)
        service = ServiceProcess(state, {"KAFKA__BOOTSTRAP_SERVERS": broker.address, **SETTINGS})
        stream = Stream(state / "feature_store.db", crowd, broker.address, TOPIC, lambda: broker.up)
        service.start()
        stack.callback(service.close)
        stream.start()
        service.wait_for_cycles(1)
        with watched(folder, state, say) if wanted.watched else nullcontext():
            _soak(folder, {**asdict(wanted), **facts}, service, stream, broker, say)
        say("the stream ends; the service reads what is left of it")
        stream.stop()
        ends, contents = _contents(broker.address)  # all that anybody will have sent
        wait_until(lambda: _stored(state) == sum(ends), 300, "everything on the topic to be stored")
        assert service.process is not None
        append(folder / "samples.jsonl", sample(service.process.pid, state, time.time()))
        code = service.stop()
        (folder / "topic.json").write_text(json.dumps({"ends": ends, "exit_code": code, **contents}))


def _soak(
    folder: Path,
    facts: Mapping[str, Any],
    service: ServiceProcess,
    stream: Stream,
    broker: Broker,
    say: Callable[[str], None],
) -> None:
    assert service.process is not None
    state, pid = folder / "state", service.process.pid
    began = time.time()
    minutes = facts["minutes"]
    told = {**facts, "began": began, "users": USERS, "settings": SETTINGS}
    (folder / "run.json").write_text(json.dumps(told, indent=2))
    say(f"the first version is there; {minutes:g} minutes from now on, in {folder}")
    broker.follow([] if facts["steady"] else stops(60 * minutes), began)
    consumer, trainers = psutil.Process(pid), Trainers(folder / "trainers.jsonl")
    next_sample = next_told = began
    for now in _every(_LOOK_EVERY, until=began + 60 * minutes):
        for failure in (stream.failure, broker.failure):
            if failure is not None:
                raise failure
        if service.process.poll() is not None:
            raise AssertionError(f"the service ended with {service.process.returncode}; see {state / 'service.log'}")
        trainers.look(consumer, now)
        if now >= next_sample:
            found = sample(pid, state, now)
            append(folder / "samples.jsonl", found)
            next_sample += _SAMPLE_EVERY
            if now >= next_told:
                next_told += _TELL_EVERY
                say(_told(found, now - began))


def _told(found: dict[str, Any], since: float) -> str:
    rows = found["ledger"]["rows"]
    return (
        f"{since / 60:4.0f} min: {rows['cycles']} cycles, {rows['versions']} versions, lag {found['lag']}, consumer "
        f"{found['consumer']['rss'] / 2**20:.1f} MiB, {found['consumer']['handles']} handles, "
        f"ledger {found['ledger']['file'] / 2**20:.1f} MiB"
    )


def _every(seconds: float, until: float) -> Iterator[float]:
    """The time, every so many seconds."""
    due = time.time()
    while (now := time.time()) < until:
        yield now
        due = max(due + seconds, time.time())
        time.sleep(max(0.0, due - time.time()))


def _stored(state: Path) -> int:
    return int(ledger(state / "ledger.db")["next"] or 0)


def _contents(broker: str) -> tuple[list[int], dict[str, Any]]:
    """Where each partition ends, how many records of each kind there are, and the last position of each user."""
    consumer: Any = KafkaConsumer(bootstrap_servers=broker, group_id=None)
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    kinds = {kind.decode(): 0 for kind in (LISTENER_KEY, OTHER_KEY, GARBAGE_KEY)}
    last: dict[str, list[int]] = {}
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for partition, records in consumer.poll(timeout_ms=500, max_records=5_000).items():
            for record in records:
                kind = next(kind for kind in kinds if record.key.startswith(kind.encode()))
                kinds[kind] += 1
                if kind == LISTENER_KEY.decode():
                    last[record.key.decode()] = [partition.partition, record.offset]
    consumer.close()
    return [ends[partition] for partition in partitions], {"kinds": kinds, "last": last}
