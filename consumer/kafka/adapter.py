"""kafka-python's consumer behind our ports. Its private parts are used here only, and `private.py` names them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import consumer.kafka.private  # noqa: F401  (first: it says what kafka-python lacks before that is used)

# isort: split

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.errors import KafkaError, LogTruncationError
from kafka.structs import MemberState, OffsetAndMetadata

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.fetched import bound
from consumer.kafka.net import WatchedClient
from consumer.kafka.ports import ClientPosition, NotAssigned, Polled, RebalanceListener
from consumer.kafka.refusals import in_words
from consumer.positions import Partition

_WENT_AWAY = (ValueError, KeyError, AssertionError)
"""What the client raises where a partition is not assigned any more."""


class KafkaPythonConsumer:
    """See `GroupConsumer`.

    Args:
        client: kafka-python's consumer of raw bytes. Its polls are bounded from here on.
        network: what connects the client.
        settings: for the words of refusals.
    """

    def __init__(self, client: Any, network: WatchedClient, settings: KafkaSettings) -> None:
        bound(client._fetcher)  # noqa: SLF001  (the client makes its own)
        self._client = client
        self._network = network
        self._settings = settings

    def partitions_for_topic(self, topic: str) -> set[int]:
        """See TopicOffsets."""
        return set(self._client.partitions_for_topic(topic) or ())

    def topic_id(self, topic: str) -> str | None:
        """See TopicOffsets."""
        found = self._network.cluster.topic_id(topic)  # there is no public way
        return str(found) if found is not None and found.int else None

    def beginning_offsets(
        self, partitions: Collection[Partition], timeout_ms: int | None = None
    ) -> dict[Partition, int]:
        """See TopicOffsets."""
        return _ours(self._client.beginning_offsets(_theirs(partitions), timeout_ms=timeout_ms))

    def end_offsets(self, partitions: Collection[Partition], timeout_ms: int | None = None) -> dict[Partition, int]:
        """See TopicOffsets."""
        return _ours(self._client.end_offsets(_theirs(partitions), timeout_ms=timeout_ms))

    def offsets_for_times(self, times: Mapping[Partition, int]) -> dict[Partition, int | None]:
        """See TopicOffsets."""
        found = self._client.offsets_for_times({TopicPartition(*partition): time for partition, time in times.items()})
        return {
            Partition(*partition): None if at is None or at.timestamp < 0 else int(at.offset)
            for partition, at in found.items()
        }

    def assign(self, partitions: Collection[Partition]) -> None:
        """See TopicReader."""
        self._client.assign(_theirs(partitions))

    def seek(self, partition: Partition, offset: int, leader_epoch: int | None = None) -> None:
        """See TopicReader."""
        place = TopicPartition(*partition)
        try:
            self._client.seek(place, offset)
            if leader_epoch is not None:  # which the public way does not take
                self._client._subscription.seek(place, OffsetAndMetadata(offset, "", leader_epoch))  # noqa: SLF001
        except _WENT_AWAY as error:
            raise NotAssigned(f"{Partition(*partition)} is not assigned: no way to offset {offset}") from error

    def poll(self, timeout_ms: int, max_records: int | None = None) -> Polled:
        """See TopicReader."""
        return _ours(self._client.poll(timeout_ms=timeout_ms, max_records=max_records))

    def position(self, partition: Partition) -> ClientPosition | None:
        """See TopicReader."""
        try:
            at = self._client._subscription.position(TopicPartition(*partition))  # noqa: SLF001  (with the epoch)
        except _WENT_AWAY:
            return None
        if at is None:
            return None
        return ClientPosition(at.offset, at.leader_epoch if at.leader_epoch >= 0 else None)

    def highwater(self, partition: Partition) -> int | None:
        """See TopicReader."""
        try:
            found: int | None = self._client.highwater(TopicPartition(*partition))
        except (KafkaError, *_WENT_AWAY):
            return None
        return found

    def pause(self, *partitions: Partition) -> None:
        """See TopicReader."""
        _each(self._client.pause, partitions)

    def why_away(self) -> str | None:
        """See TopicReader."""
        failure = self._network.failure
        return None if failure is None else in_words(failure, self._settings)

    def close(self, timeout_ms: int | None = None) -> None:
        """See TopicReader."""
        self._client.close(autocommit=False, timeout_ms=timeout_ms)

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """See GroupConsumer."""
        self._client.subscribe(list(topics), listener=_Listener(listener))

    def is_member(self) -> bool:
        """See GroupConsumer."""
        return bool(self._client.group_metadata().state == MemberState.STABLE)

    def assignment(self) -> set[Partition]:
        """See GroupConsumer."""
        return {Partition(*one) for one in self._client.assignment()}

    def paused(self) -> set[Partition]:
        """See GroupConsumer."""
        return {Partition(*one) for one in self._client.paused()}

    def resume(self, *partitions: Partition) -> None:
        """See GroupConsumer."""
        _each(self._client.resume, partitions)

    def validated_position(self, partition: Partition) -> ClientPosition | None:
        """See GroupConsumer. A client whose broker came back asks whether the log is the same, which can fail."""
        try:
            self._client.position(TopicPartition(*partition), timeout_ms=0)  # which asks
        except LogTruncationError:
            raise
        except (KafkaError, *_WENT_AWAY):
            return None
        return self.position(partition)

    def commit(self, offsets: Mapping[Partition, int], timeout_ms: int) -> None:
        """See GroupConsumer."""
        self._client.commit(_committed(offsets), timeout_ms=timeout_ms)

    def commit_async(self, offsets: Mapping[Partition, int], done: Callable[[Exception | None], None]) -> None:
        """See GroupConsumer."""

        def called_back(_offsets: object, answer: object) -> None:
            done(answer if isinstance(answer, Exception) else None)

        self._client.commit_async(_committed(offsets), callback=called_back)

    def refresh_metadata(self, timeout_ms: int) -> None:
        """See GroupConsumer."""
        self._network.refresh_metadata(timeout_ms)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, listener: RebalanceListener) -> None:
        self._listener = listener

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._listener.on_assigned(frozenset(Partition(*one) for one in assigned))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._listener.on_revoked(frozenset(Partition(*one) for one in revoked))

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        # Said apart: the default would be to call that of revoked ones.
        self._listener.on_lost(frozenset(Partition(*one) for one in lost))


def _theirs(partitions: Iterable[Partition]) -> list[Any]:
    return [TopicPartition(*one) for one in partitions]


def _ours(found: Mapping[Any, Any]) -> dict[Partition, Any]:
    return {Partition(*one): value for one, value in found.items()}


def _committed(offsets: Mapping[Partition, int]) -> dict[Any, Any]:
    return {TopicPartition(*one): OffsetAndMetadata(offset, "", -1) for one, offset in offsets.items()}


def _each(change: Callable[[Any], None], partitions: Iterable[Partition]) -> None:
    for partition in partitions:
        with suppress(*_WENT_AWAY):
            change(TopicPartition(*partition))
