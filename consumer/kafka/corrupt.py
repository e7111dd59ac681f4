"""Finding out where a broker has a record that it cannot read itself: the client that met it does not say."""

from __future__ import annotations

from contextlib import closing

from kafka.errors import CorruptRecordError

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.clients import make_consumer
from consumer.kafka.options import consumer_options
from consumer.positions import Partition

_PROBE_MS = 3_000  # as long as a probe waits on a partition that has nothing more to give


def why_corrupt(settings: KafkaSettings, partition: Partition, offset: int) -> str | None:
    """What the broker says about a damaged record at an offset; None where it can read the record.

    A consumer of its own asks, which is thrown away.

    Raises:
        KafkaError: the broker does not answer.
    """
    consumer, _ = make_consumer(settings, consumer_options(settings, grouped=False))
    with closing(consumer) as probe:
        probe.assign([partition])
        probe.seek(partition, offset)
        try:
            probe.poll(timeout_ms=_PROBE_MS)
        except CorruptRecordError as error:
            return str(error)
    return None
