"""What Retrainer asks of a Kafka client: small protocols, which `adapter.py` and `admin.py` keep with kafka-python.

Where nothing else is said, a method raises an error of `kafka.errors` when the brokers do not answer or refuse.
Partitions are the ledger's: tuples of topic and number, which equal kafka-python's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from consumer.errors import ConsumerError
from consumer.kafka.records import Found
from consumer.positions import Partition

Polled = dict[Partition, list[Found]]
"""What a poll brings: of each partition the next records, in the order of their offsets."""


class NotAssigned(ConsumerError):  # noqa: N818  (a signal, not a fault)
    """The client does not have the partition any more; the rebalance listener has been called, or soon is."""


class ClientPosition(NamedTuple):
    """The offset that the client reads next, and the leader epoch of the batch before it; None if unknown."""

    offset: int
    leader_epoch: int | None


class RebalanceListener(Protocol):
    """Hears what the group assigns and takes away. The client's own thread calls it, so it must not block."""

    def on_assigned(self, assigned: frozenset[Partition]) -> None:
        """These partitions come; a cooperative rebalance does not name those that are kept."""

    def on_revoked(self, revoked: frozenset[Partition]) -> None:
        """These partitions go, in good order."""

    def on_lost(self, lost: frozenset[Partition]) -> None:
        """These partitions have gone already: the group has given the client up."""


class TopicOffsets(Protocol):
    """Questions about topics; no partition has to be assigned for them."""

    def partitions_for_topic(self, topic: str) -> set[int]:
        """The numbers of a topic's partitions; empty where the topic is not there."""

    def topic_id(self, topic: str) -> str | None:
        """The id that the topic got when it was made, of a topic that the client reads; None where nobody says."""

    def beginning_offsets(
        self, partitions: Collection[Partition], timeout_ms: int | None = None
    ) -> dict[Partition, int]:
        """The first offset of each partition that the broker still has."""

    def end_offsets(self, partitions: Collection[Partition], timeout_ms: int | None = None) -> dict[Partition, int]:
        """The offset that the next record of each partition gets."""

    def offsets_for_times(self, times: Mapping[Partition, int]) -> dict[Partition, int | None]:
        """The offset of each partition's first record of that time (ms) or later; None where there is none."""


class TopicReader(TopicOffsets, Protocol):
    """Reads partitions that it is given by `assign`. It never commits or resets an offset by itself."""

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read these partitions, and no others; each needs a `seek`."""

    def seek(self, partition: Partition, offset: int, leader_epoch: int | None = None) -> None:
        """Read a partition from an offset on.

        Args:
            partition: which.
            offset: of the first record to read.
            leader_epoch: of the record before, where it is known: by it broker and client notice a log that was cut
                off before the offset, even if the log has grown beyond it again (KIP-320).

        Raises:
            NotAssigned: the client does not have the partition.
        """

    def poll(self, timeout_ms: int, max_records: int | None = None) -> Polled:
        """The next records of the partitions that are not paused; empty when none come in time.

        Raises:
            OffsetOutOfRangeError: the broker does not have an offset; its first argument is a dict of such offsets.
            LogTruncationError: a log is not the one that was read; `divergent_offsets` says from where on.
            NoOffsetForPartitionError: an assigned partition was never sought.
            CorruptRecordError: a broker cannot read a record of its own; the next poll asks for the same one.
        """

    def position(self, partition: Partition) -> ClientPosition | None:
        """Where the client stands, be it after a transaction marker; None if unknown, or not assigned."""

    def highwater(self, partition: Partition) -> int | None:
        """Where the partition ended by the last fetch of it; None before the first, or where it is not assigned."""

    def pause(self, *partitions: Partition) -> None:
        """Fetch nothing of these. Partitions that are not assigned are passed over."""

    def why_away(self) -> str | None:
        """Why there is no connection to a broker that the client wants; None where nobody knows."""

    def close(self, timeout_ms: int | None = None) -> None:
        """Leave, without a commit. A second call does nothing."""


class GroupConsumer(TopicReader, Protocol):
    """A member of a consumer group, which gets its partitions by `subscribe`."""

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Join the group, by polling, for a share of the topics' partitions."""

    def is_member(self) -> bool:
        """Whether the client is in its group now, and no rebalance is under way."""

    def assignment(self) -> set[Partition]:
        """The partitions that the client has."""

    def paused(self) -> set[Partition]:
        """Those of its partitions that are paused."""

    def resume(self, *partitions: Partition) -> None:
        """Fetch these again. Partitions that are not assigned are passed over."""

    def validated_position(self, partition: Partition) -> ClientPosition | None:
        """As `position`, but None while the client is not sure itself that the log is still the same.

        Raises:
            LogTruncationError: the log is not the one that was read. The client says so only once.
        """

    def commit(self, offsets: Mapping[Partition, int], timeout_ms: int) -> None:
        """Commit these offsets to the group, and wait until that is done."""

    def commit_async(self, offsets: Mapping[Partition, int], done: Callable[[Exception | None], None]) -> None:
        """Commit these offsets to the group; the client's thread calls `done` with None, or what went wrong."""

    def refresh_metadata(self, timeout_ms: int) -> None:
        """Ask the brokers what they know of the topics now.

        Raises:
            KafkaError: they do not answer in time.
        """


class Admin(Protocol):
    """Questions to a cluster, and topics to be made. Answers are dicts, as Kafka's protocol names their fields."""

    def describe_groups(self, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Groups of the classic protocol, by name; of any other one the state is `Dead`."""

    def describe_newer_group(self, group: str) -> dict[str, Any]:
        """A group of the newer protocol (KIP-848); `error_code` says whether there is one."""

    def list_group_offsets(self, group: str) -> dict[Partition, int]:
        """The offsets that a group has committed."""

    def describe_topics(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        """Topics with their partitions; `error_code` says where one is not there."""

    def list_topics(self) -> list[str]:
        """The names of the topics that may be seen."""

    def create_topics(self, topics: Mapping[str, Mapping[str, int]], *, wait_for_metadata: bool = False) -> None:
        """Make topics, by name, with `num_partitions` and `replication_factor`."""

    def list_partition_offsets(self, wanted: Mapping[Partition, Any]) -> dict[Partition, Any]:
        """Offsets of partitions by `kafka.admin.OffsetSpec`."""

    def describe_cluster(self) -> dict[str, Any]:
        """The cluster and its brokers."""

    def describe_features(self) -> Mapping[str, Any]:
        """What the cluster can do beyond the protocol, by name."""

    def close(self) -> None:
        """End the connections."""


class Written(Protocol):
    """Where a record stands that was written."""

    partition: int
    offset: int


class Promise(Protocol):
    """A record on its way."""

    def get(self, timeout: float | None = None) -> Written:
        """Where it stands; raises as the broker or the way there refused it, and when `timeout` seconds are over."""


class Producer(Protocol):
    """Writes records, each acknowledged by all replicas."""

    def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> Promise:
        """Send a record soon."""

    def flush(self, timeout: float | None = None) -> None:
        """Send all records now, and wait so many seconds for the acknowledgements."""

    def close(self, timeout: float | None = None) -> None:
        """End the connections, after so many seconds whatever is still on its way."""
