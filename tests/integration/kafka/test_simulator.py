"""Waves reach the store in one piece and the topic at least once, also when the simulator or the broker fails."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaConfigurationError, KafkaTimeoutError

from consumer.deadline import Deadline, TimedOut
from retrainer.demo.audience import GeneratedAudience
from retrainer.demo.errors import DemoUsageError
from retrainer.demo.follows import LocalFollows
from retrainer.demo.simulator import Simulator, every, patiently, run
from retrainer.demo.waves import Committed, Row, Wave
from retrainer.relay import Relay, ensure_topic
from schemas.events import Change, Operation, decode
from schemas.features import Column, FeatureGroup
from schemas.labels import LabelGroup, PairKey, pair_text
from stores.features.local import LocalFeatureStore
from stores.labels.local import LocalLabelStore

GROUP = FeatureGroup(columns=(Column(name="taste", length=2),))
TOPIC = "changes"


class ThreeWaves:
    """Three users, then one changes and one comes, then one goes."""

    columns = GROUP.columns
    name = "three users"

    def initial(self) -> Wave:
        return Wave("3 users", {user: _row(1) for user in "abc"}, newcomers=3)

    def waves(self) -> Iterator[Wave]:
        yield Wave("one changes, one comes", {"a": _row(2), "d": _row(2)}, newcomers=1)
        yield Wave("one goes", deletes=("b",))
        yield Wave("one changes", {"c": _row(3)})


def _row(value: float) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    return {"taste": np.full(2, value, dtype=np.float32)}


@pytest.fixture(scope="module")
def broker(tansu_address: str) -> str:
    return tansu_address


@pytest.fixture(scope="module")
def producer(broker: str) -> Iterator[KafkaProducer]:
    made = KafkaProducer(bootstrap_servers=[broker])
    yield made
    made.close(timeout=5)


@pytest.fixture
def topic(broker: str, request: pytest.FixtureRequest) -> str:
    name = str(request.node.name)
    assert ensure_topic({"bootstrap_servers": [broker]}, name, partitions=3)
    return name


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalFeatureStore]:
    with closing(LocalFeatureStore(tmp_path / "features.db", GROUP)) as found:
        yield found


class WhoFollow(ThreeWaves):
    """The same, who follow each other."""

    def initial(self) -> Wave:
        return replace(super().initial(), follows=(("a", "b"), ("b", "c")))

    def waves(self) -> Iterator[Wave]:
        one, other, _ = super().waves()
        yield replace(one, follows=(("d", "a"),))
        yield replace(other, unfollows=(("a", "b"), ("b", "c")))


def published(broker: str, topic: str, count: int, labels: LabelGroup | None = None) -> list[Change]:
    """The first `count` changes on the topic as the service decodes them, by partition: of users, or of labels."""
    reader = KafkaConsumer(
        bootstrap_servers=[broker], group_id=None, auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    try:
        reader.assign([TopicPartition(topic, partition) for partition in range(3)])
        records = list(islice(reader, count))
    finally:
        reader.close()
    found = [decode(labels or GROUP, record.key, record.value, dict(record.headers)) for record in records]
    return [change for change in found if isinstance(change, Change)]


def test_everything_that_is_committed_is_published_with_its_operation(
    broker: str, topic: str, producer: KafkaProducer, store: LocalFeatureStore, tmp_path: Path
) -> None:
    told: list[Committed] = []
    run(Simulator(ThreeWaves(), store, Relay(store, producer, topic), tmp_path / "place"), iter("xxxx"), told.append)
    assert [(one.wave, one.changed, one.new, one.deleted, one.users, one.events) for one in told] == [
        (0, 0, 3, 0, 3, 3),
        (1, 1, 1, 0, 4, 2),
        (2, 0, 0, 1, 3, 1),
        (3, 1, 0, 0, 3, 1),
    ]
    assert sorted(published(broker, topic, 7), key=lambda change: change.key) == [
        *[Change("a", Operation.UPSERT)] * 2,
        Change("b", Operation.UPSERT),
        Change("b", Operation.DELETE),  # after the upsert: one user's events keep their order
        *[Change("c", Operation.UPSERT)] * 2,
        Change("d", Operation.UPSERT),
    ]
    assert store.outbox() == []


def test_a_simulator_that_is_started_again_goes_on_where_it_was(
    topic: str, producer: KafkaProducer, store: LocalFeatureStore, tmp_path: Path
) -> None:
    relay, place = Relay(store, producer, topic), tmp_path / "place"
    first = Simulator(ThreeWaves(), store, relay, place)
    first.begin()
    first.advance()
    again = Simulator(ThreeWaves(), store, relay, place)
    resumed = again.begin()
    assert (resumed.wave, resumed.users, resumed.events) == (1, 4, 0)
    second = again.advance()
    assert second is not None
    assert (second.wave, second.title) == (2, "one goes")
    assert sorted(store.read(["a", "b", "c", "d"]).keys) == ["a", "c", "d"]


def test_a_simulator_that_died_before_publishing_publishes_at_its_next_start(
    topic: str, producer: KafkaProducer, store: LocalFeatureStore, tmp_path: Path
) -> None:
    store.commit(ThreeWaves().initial().upserts)  # and then it died
    resumed = Simulator(ThreeWaves(), store, Relay(store, producer, topic), tmp_path / "place").begin()
    assert resumed.events == 3


class Unlucky:
    """A producer whose second record is sent, but never acknowledged."""

    def __init__(self, real: KafkaProducer) -> None:
        self.real = real
        self.sent = 0

    def send(self, *args: object, **kwargs: object) -> object:
        self.sent += 1
        promise = self.real.send(*args, **kwargs)
        return self if self.sent == 2 else promise

    def flush(self, timeout: float) -> None:
        self.real.flush(timeout=timeout)

    def get(self, timeout: float) -> None:
        """As the promise of the second record."""
        raise KafkaTimeoutError(f"no answer within {timeout} s")


def test_events_are_forgotten_only_once_they_are_acknowledged(
    broker: str, topic: str, producer: KafkaProducer, store: LocalFeatureStore
) -> None:
    store.commit(ThreeWaves().initial().upserts)
    relay = Relay(store, Unlucky(producer), topic)
    with pytest.raises(KafkaTimeoutError):
        relay.publish()
    assert len(store.outbox()) == 3
    assert relay.publish() == 3
    assert store.outbox() == []
    assert len(published(broker, topic, 6)) == 6  # all went twice: at least once


LABELS = LabelGroup()


def follows_in(path: Path) -> set[PairKey]:
    with closing(LocalLabelStore(path, LABELS)) as store:
        return {pair for rows in store.snapshot(()) for pair in rows.pairs}


def test_follows_are_committed_and_published_beside_the_rows(
    broker: str, topic: str, producer: KafkaProducer, store: LocalFeatureStore, tmp_path: Path
) -> None:
    path = tmp_path / "features.db"
    with closing(LocalFollows(path, LABELS, producer, topic, clock=lambda: 5.0)) as follows:
        told: list[Committed] = []
        simulator = Simulator(WhoFollow(), store, Relay(store, producer, topic), tmp_path / "place", follows)
        run(simulator, iter("xxx"), told.append)
    assert [(one.follows, one.unfollows, one.events) for one in told] == [(2, 0, 5), (1, 0, 3), (0, 2, 3)]
    assert follows_in(path) == {("d", "a")}
    changes = published(broker, topic, 11, LABELS)
    assert sorted((change.key, change.operation) for change in changes) == sorted(
        [
            *[(pair_text(pair), Operation.UPSERT) for pair in (("a", "b"), ("b", "c"), ("d", "a"))],
            *[(pair_text(pair), Operation.DELETE) for pair in (("a", "b"), ("b", "c"))],
        ]
    )


class Dying:
    """A store whose simulator is killed when it writes rows."""

    def commit(self, upserts: Mapping[str, Row], deletes: Iterable[str] = ()) -> None:
        if upserts or deletes:
            raise KeyboardInterrupt

    def count(self) -> int:
        return 0


def test_a_simulator_killed_between_follows_and_rows_commits_both_at_its_next_start(
    topic: str, producer: KafkaProducer, store: LocalFeatureStore, tmp_path: Path
) -> None:
    path, relay, place = tmp_path / "features.db", Relay(store, producer, topic), tmp_path / "place"
    with closing(LocalFollows(path, LABELS, producer, topic)) as follows:
        dying = Simulator(WhoFollow(), Dying(), relay, place, follows)
        with pytest.raises(KeyboardInterrupt):
            dying.begin()
        assert follows_in(path) == {("a", "b"), ("b", "c")}
        begun = Simulator(WhoFollow(), store, relay, place, follows).begin()
    assert (begun.users, begun.follows) == (3, 2)
    assert begun.events == 3 + 2 * 2  # those of the first time too: at least once


def test_a_topic_that_is_there_keeps_its_partitions(broker: str, topic: str) -> None:
    assert not ensure_topic({"bootstrap_servers": [broker]}, topic, partitions=7)
    reader = KafkaConsumer(bootstrap_servers=[broker])
    try:
        assert reader.partitions_for_topic(topic) == {0, 1, 2}
    finally:
        reader.close()


def test_a_whole_population_fits_through(broker: str, topic: str, producer: KafkaProducer, tmp_path: Path) -> None:
    listeners = GeneratedAudience(2000)
    with closing(LocalFeatureStore(tmp_path / "f.db", FeatureGroup())) as store:
        committed = Simulator(listeners, store, Relay(store, producer, topic), tmp_path / "place").begin()
    assert (committed.users, committed.events) == (2000, 2000)


def test_it_waits_for_kafka_longer_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    failures = iter(range(3))

    def attempt() -> str:
        if next(failures, None) is not None:
            raise KafkaTimeoutError
        return "there"

    def refused() -> None:
        raise KafkaConfigurationError("no")

    assert patiently(attempt) == "there"
    assert waits == sorted(waits)
    assert len(set(waits)) == 3
    with pytest.raises(DemoUsageError, match=r"refuses its settings: .*no"):
        patiently(refused)
    assert len(waits) == 3
    with pytest.raises(ZeroDivisionError):  # what is not Kafka's fault is not waited for
        patiently(lambda: 1 // 0)


def test_with_a_deadline_it_waits_for_kafka_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda pause: now.append(now[-1] + pause))

    def away() -> None:
        raise KafkaTimeoutError("nobody there")

    for _ in range(2):  # the wait begins again with each attempt
        began = now[-1]
        with pytest.raises(TimedOut, match=r"Kafka did not answer \(.*nobody there\) for 60 s"):
            patiently(away, Deadline(60, lambda: now[-1]))
        assert now[-1] - began == pytest.approx(60)


def test_ticks_come_at_an_interval_and_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("retrainer.demo.simulator.time.sleep", slept.append)
    assert len(list(every(60, times=3))) == 3
    assert len(list(islice(every(60), 100))) == 100
    assert slept == [60] * 103
