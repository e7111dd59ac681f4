"""The bridge's topic: created where it is missing, and written to with an acknowledgement of every record.

Transactions would keep a second bridge out, but do not work here. The authorizer of Hopsworks' own Kafka refuses every
transactional id. kafka-python 3.0.12 waits for a commit without end when the broker goes away in the meantime, even
after the broker is back; and it does not distinguish a transaction that ran out of time from a rival. Instead a second
bridge without this state does not start (see `bridge.py`), and a bridge with a copy of the state shows in the offsets.
"""

from __future__ import annotations

import consumer.kafka.private  # noqa: F401  (first: it says what kafka-python lacks before that is used)
from schemas.log_events.bridge import SECOND_WRITER

# isort: split
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any

import structlog
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka import tls_files
from consumer.kafka.clients import make_admin, make_producer
from consumer.kafka.options import admin_options, producer_options
from consumer.kafka.ports import Admin, Producer
from consumer.positions import Partition
from retrainer.bridge.ports import TopicState
from schemas.events import Change, Group, Operation, encode, encode_label
from schemas.labels import LabelGroup, pair_of

log = structlog.get_logger()

_DELIVERY_MS = 20_000
_FLUSH_SECONDS = 30.0  # longer than the longest delivery, so every record is delivered or failed by then
_CLOSE_SECONDS = 2.0


class KafkaTopic:
    """The topic of one group, for one writer in one thread. See the protocol `Topic`.

    Args:
        settings: the brokers and the topics.
        group: the group of the change events, which go to the users' topic or to the labels'.
        partitions: number of partitions of a topic that has to be created.

    Raises:
        SettingsError: the client cannot use the settings or files.
    """

    def __init__(self, settings: KafkaSettings, group: Group, partitions: int) -> None:
        tls_files.check(settings)
        self._settings = settings
        named = settings.label_topic if isinstance(group, LabelGroup) else None
        self.name = named or settings.topic
        self._group = group
        self._partitions = partitions
        self._producer: Producer | None = None
        self._next: dict[int, int] = {}  # by partition, the offset that follows our last record

    def state(self) -> TopicState:
        """See Topic."""
        with closing(self._admin()) as admin:
            found = admin.describe_topics([self.name]) if self.name in admin.list_topics() else []
            numbers = [partition["partition_index"] for topic in found for partition in topic["partitions"]]
            if not numbers:
                return TopicState.MISSING
            wanted = {Partition(self.name, number): OffsetSpec.LATEST for number in numbers}
            ends = admin.list_partition_offsets(wanted)
        return TopicState.USED if any(end.offset > 0 for end in ends.values()) else TopicState.EMPTY

    def create(self) -> None:
        """See Topic."""
        wanted = {self.name: {"num_partitions": self._partitions, "replication_factor": -1}}
        with (
            closing(self._admin()) as admin,
            suppress(TopicAlreadyExistsError),
        ):
            admin.create_topics(wanted, wait_for_metadata=True)

    def publish(self, changes: Sequence[Change], commit: int) -> None:
        """See Topic."""
        if self._producer is None:
            self._producer = make_producer(self._settings, _options(self._settings))
        stamp = ("commitId", str(commit).encode())
        try:
            promises = [self._send(change, stamp) for change in changes]
            self._producer.flush(timeout=_FLUSH_SECONDS)
            written = [promise.get(timeout=0) for promise in promises]
        except BaseException:
            self._next.clear()  # some may have been written
            self.close()  # the client can be in a state that it never leaves
            raise
        self._look_for_strangers(written)

    def close(self) -> None:
        """See Topic."""
        if self._producer is not None:
            with suppress(KafkaError):  # it waits for records that are not needed any more
                self._producer.close(timeout=_CLOSE_SECONDS)
            self._producer = None

    def _admin(self) -> Admin:
        return make_admin(self._settings, admin_options(self._settings))

    def _send(self, change: Change, stamp: tuple[str, bytes]) -> Any:
        assert self._producer is not None
        headers = [stamp] if change.operation is Operation.UPSERT else [stamp, ("operation", b"delete")]
        return self._producer.send(self.name, key=change.key.encode(), value=self._event(change.key), headers=headers)

    def _event(self, key: str) -> bytes:
        group = self._group
        return encode_label(group, pair_of(key)) if isinstance(group, LabelGroup) else encode(group, key)

    def _look_for_strangers(self, written: Sequence[Any]) -> None:
        """A topic with one writer has no gaps between that writer's records; a gap means a second writer."""
        offsets: dict[int, list[int]] = {}
        for record in written:
            offsets.setdefault(record.partition, []).append(record.offset)
        strangers = 0
        for partition, ours in offsets.items():
            first, following = self._next.get(partition, min(ours)), max(ours) + 1
            strangers += following - first - len(ours)
            self._next[partition] = following
        if strangers:
            log.error(
                SECOND_WRITER,
                topic=self.name,
                records=strangers,
            )


def _options(settings: KafkaSettings) -> dict[str, Any]:
    return {
        **producer_options(settings),
        "allow_auto_create_topics": False,
        "delivery_timeout_ms": _DELIVERY_MS,
        "request_timeout_ms": _DELIVERY_MS // 2,
        "max_block_ms": 3_000,
        "reconnect_backoff_max_ms": 3_000,
        "linger_ms": 5,
    }
