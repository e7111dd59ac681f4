"""The ingestion service: from the ingestion topic into the tables, and a notification of every row that it wrote."""

from __future__ import annotations

import struct
import threading
import traceback
from collections.abc import Iterable
from typing import Any, Literal

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control.feature_views import FeatureViews
from tests.hopsworks_double.control.ingestions import Ingestions
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.kafka import broker
from tests.hopsworks_double.kafka.events import messages
from tests.hopsworks_double.rows.held import HeldGroup
from tests.hopsworks_double.rows.tables import Changes

_BATCH = 500
_POLL_SECONDS = 0.05
_UNREADABLE = (ValueError, EOFError, IndexError, KeyError, struct.error)

Storage = Literal["online", "offline"]


class IngestionService:
    """A thread that reads the project's shared topic, and takes from it what belongs to its groups.

    It begins at the end of the topic, and goes on where it was when it is stopped and started again.
    """

    def __init__(self, cluster: Cluster, ingestions: Ingestions, views: FeatureViews) -> None:
        self.crashes: list[str] = []
        """Tracebacks of the double's own mistakes."""
        self._cluster = cluster
        self._ingestions = ingestions
        self._views = views
        self._running = threading.Event()
        self._running.set()
        self._busy = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._positions: dict[int, int] = {}
        """The next offset by partition."""

    def start(self) -> None:
        """Ingest, if there is a broker and it does not yet."""
        online = any(group.online for group in self._cluster.groups)
        if self._cluster.kafka is None or not online or self._thread is not None:
            return
        config = broker.client_config(self._cluster)
        consumer = Consumer(config | {"group.id": "onlinefs", "enable.auto.commit": False, "fetch.wait.max.ms": 50})
        topic = self._cluster.spec.ingestion_topic
        self._positions = self._positions or _ends(consumer, topic)
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in self._positions.items()])
        self._ending.clear()
        self._thread = threading.Thread(target=self._run, args=(consumer, Producer(config)), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, once the batch at hand is done."""
        if self._thread is not None:
            self._ending.set()
            self._running.set()
            self._thread.join()
            self._thread = None

    def pause(self) -> None:
        """Ingest nothing from now on; the batch at hand is done when this returns."""
        self._running.clear()
        with self._busy:
            return

    def resume(self) -> None:
        """Go on."""
        self._running.set()

    def send(
        self,
        upserts: Changes,
        deletes: Iterable[str] = (),
        storage: Storage | None = None,
        group: HeldGroup | None = None,
    ) -> int:
        """Write rows as the SDK's insert does, onto the ingestion topic, but faster; gives the ingestion's id.

        They are rows of users where no group is given.
        """
        into = group or self._cluster.users
        rows, gone = into.store.rows(upserts), list(deletes)
        ingestion = self._ingestions.announce(len(rows) + len(gone), into) if storage != "offline" else 0
        headers = {
            "projectId": str(self._cluster.project_id),
            "featureGroupId": str(into.id),
            "subjectId": "7",
            **({"onlineIngestionId": str(ingestion)} if ingestion else {}),
            **({"storage": storage} if storage else {}),
        }
        producer = Producer(broker.client_config(self._cluster))
        topic, codec = self._cluster.spec.ingestion_topic, into.codec
        for key, row in rows.items():
            _produce(producer, topic, codec.message(key, row), _kafka_key(into, key), headers)
        for key in gone:
            deleted = headers | {"operation": "delete"}
            _produce(producer, topic, codec.message(key, None), _kafka_key(into, key), deleted)
        undelivered = producer.flush(broker.PATIENCE)
        assert not undelivered, f"{undelivered} messages did not reach the broker"
        return ingestion

    def _run(self, consumer: Consumer, producer: Producer) -> None:
        try:
            while not self._ending.is_set():
                self._running.wait()
                with self._busy:
                    if self._running.is_set():
                        self._ingest(consumer.consume(_BATCH, _POLL_SECONDS), producer)
        except Exception:  # noqa: BLE001
            self.crashes.append(f"ingestion: {traceback.format_exc()}")
        finally:
            consumer.close()

    def _ingest(self, batch: list[Message], producer: Producer) -> None:
        views = self._views.all()
        groups = {str(group.id).encode(): group for group in self._cluster.groups if group.online}
        for message in batch:
            if message.error() is not None:
                continue
            headers: dict[str, Any] = dict(message.headers() or [])
            if (group := groups.get(headers.get("featureGroupId", b""))) is not None:
                self._take(group, message, headers, views, producer)
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            self._positions[partition] = offset + 1
        producer.flush(broker.PATIENCE)

    def _take(
        self, group: HeldGroup, message: Message, headers: dict[str, bytes], views: list[Json], producer: Producer
    ) -> None:
        ingestion = int(headers.get("onlineIngestionId", b"0"))
        try:
            key, row = group.codec.row(message.value() or b"")
        except _UNREADABLE:
            self._ingestions.count(ingestion, "FAILED")
            return
        deleted, storage = headers.get("operation") == b"delete", headers.get("storage")
        upserts, deletes = ({}, [key]) if deleted else ({key: row}, [])
        store = group.store
        if storage == b"offline":
            store.put_offline(upserts, deletes)
            return
        if storage is None and store.auto_materialize:
            store.put(upserts, deletes)
        else:
            store.put_online(upserts, deletes)
        self._ingestions.count(ingestion, "DELETED" if deleted else "UPSERTED")
        self._notify(group, views, key, None if deleted else row, producer)

    def _notify(self, group: HeldGroup, views: list[Json], key: str, row: Any, producer: Producer) -> None:
        topic = group.notification_topic
        if topic is None:
            return
        for sent in messages(self._cluster, views, key, row, group):
            _produce(producer, topic, sent.value, sent.key, dict(sent.headers))


def _kafka_key(group: HeldGroup, key: str) -> bytes:
    """The SDK joins the values of a composite key, by the names of their columns, with nothing in between."""
    return "".join(end for _, end in sorted(group.ends(key).items())).encode()


def _ends(consumer: Consumer, topic: str) -> dict[int, int]:
    partitions = consumer.list_topics(topic, timeout=broker.PATIENCE).topics[topic].partitions
    return {
        partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=broker.PATIENCE)[1]
        for partition in partitions
    }


def _produce(producer: Producer, topic: str, value: bytes | None, key: bytes | None, headers: dict[str, Any]) -> None:
    while True:
        try:
            producer.produce(topic, value, key, headers=headers)
        except BufferError:
            producer.poll(1)
        else:
            return
