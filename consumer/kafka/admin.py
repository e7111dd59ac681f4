"""kafka-python's admin client behind our port, with the question about groups that kafka-python cannot ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import consumer.kafka.private  # noqa: F401  (first: it says what kafka-python lacks before that is used)

# isort: split

from kafka import TopicPartition
from kafka.protocol.api_message import ApiMessage

from consumer.kafka.net import WatchedClient
from consumer.positions import Partition


class ConsumerGroupDescribeRequest(ApiMessage, load_json="consumer.kafka.messages"):  # type: ignore[misc, call-arg]
    """Of a group of the newer protocol."""


class ConsumerGroupDescribeResponse(ApiMessage, load_json="consumer.kafka.messages"):  # type: ignore[misc, call-arg]
    """Its answer."""


class KafkaPythonAdmin:
    """See `Admin`.

    Args:
        client: kafka-python's admin client.
        network: what connects the client.
    """

    def __init__(self, client: Any, network: WatchedClient) -> None:
        self._client = client
        self._network = network

    def describe_groups(self, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """See Admin."""
        found: dict[str, dict[str, Any]] = self._client.describe_groups(list(groups))
        return found

    def describe_newer_group(self, group: str) -> dict[str, Any]:
        """See Admin."""
        (described,) = self._network.run(self._describe, group)["groups"]
        return dict(described)

    def list_group_offsets(self, group: str) -> dict[Partition, int]:
        """See Admin."""
        found = self._client.list_group_offsets([group])[group]
        return {Partition(*one): int(at.offset) for one, at in found.items()}

    def describe_topics(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        """See Admin."""
        return list(self._client.describe_topics(list(topics)))

    def list_topics(self) -> list[str]:
        """See Admin."""
        return list(self._client.list_topics())

    def create_topics(self, topics: Mapping[str, Mapping[str, int]], *, wait_for_metadata: bool = False) -> None:
        """See Admin."""
        self._client.create_topics(dict(topics), wait_for_metadata=wait_for_metadata)

    def list_partition_offsets(self, wanted: Mapping[Partition, Any]) -> dict[Partition, Any]:
        """See Admin."""
        found = self._client.list_partition_offsets({TopicPartition(*one): spec for one, spec in wanted.items()})
        return {Partition(*one): at for one, at in found.items()}

    def describe_cluster(self) -> dict[str, Any]:
        """See Admin."""
        return dict(self._client.describe_cluster())

    def describe_features(self) -> Mapping[str, Any]:
        """See Admin."""
        return dict(self._client.describe_features())

    def close(self) -> None:
        """See Admin."""
        self._client.close()

    async def _describe(self, group: str) -> dict[str, Any]:
        coordinators = await self._client._find_coordinator_ids([group])  # noqa: SLF001
        request = ConsumerGroupDescribeRequest(group_ids=[group], include_authorized_operations=False)
        answer = await self._network.send_to(request, coordinators[group])
        described: dict[str, Any] = answer.to_dict()
        return described
