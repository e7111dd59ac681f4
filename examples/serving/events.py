"""Which version is champion, by the model events of a topic.

Every event names the champion after it, and the number of the promotion that made it so. The greatest number counts.
So an event may come twice, late, or in any order, and after a restart the topic tells where we are.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

log = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0
_POLL_MS = 300


@dataclass(frozen=True, slots=True)
class Champion:
    """The version to serve."""

    version: int
    promotion: int
    """Grows with each change of the champion."""


def champion_in(record: bytes, model: str) -> Champion | None:
    """The champion that a model event names; None where the record is no event of this model, or there is none yet."""
    try:
        event = json.loads(record)
        data = event["data"]
        if not str(event["type"]).startswith("retrainer.") or data["model_name"] != model:
            return None
        return None if data["champion"] is None else Champion(int(data["champion"]), int(data["promotion"]))
    except (ValueError, TypeError, KeyError):
        log.warning("a record of the topic is no model event")
        return None


def newest(known: Champion | None, records: Iterable[bytes], model: str) -> Champion | None:
    """The champion after these records, in whatever order they come."""
    for record in records:
        found = champion_in(record, model)
        if found is not None and (known is None or found.promotion > known.promotion):
            known = found
    return known


def follow(brokers: str, topic: str, model: str, heard: Callable[[Champion], None], stopping: threading.Event) -> None:
    """Call `heard` with each new champion until `stopping`, first with that of today.

    The whole topic is read at each start, without a group: every server needs every event. That is quick, as there are
    few; with `cleanup.policy=compact` there is one. A consumer that fails is made again.
    """
    known: Champion | None = None
    while not stopping.is_set():
        try:
            with closing(KafkaConsumer(bootstrap_servers=brokers, group_id=None, enable_auto_commit=False)) as consumer:
                known = _follow(consumer, topic, model, known, heard, stopping)
        except KafkaError as error:
            log.warning("cannot read %s: %s", topic, error)
            stopping.wait(_RETRY_SECONDS)


def _follow(
    consumer: Any,
    topic: str,
    model: str,
    known: Champion | None,
    heard: Callable[[Champion], None],
    stopping: threading.Event,
) -> Champion | None:
    while not (numbers := consumer.partitions_for_topic(topic)) and not stopping.is_set():
        log.warning("topic %s is not there yet", topic)
        stopping.wait(_RETRY_SECONDS)
    partitions = [TopicPartition(topic, number) for number in numbers or ()]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)  # before we are there, an old champion may be the newest that we know
    told = known
    while not stopping.is_set():
        polled = consumer.poll(timeout_ms=_POLL_MS)
        known = newest(known, (record.value for records in polled.values() for record in records), model)
        if known is not None and known != told and all(consumer.position(one) >= ends[one] for one in partitions):
            heard(known)
            told = known
    return known
