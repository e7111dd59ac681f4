"""Three nodes of Apache Kafka, each broker and controller, to be broken: one may be away, and everything goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from kafka.protocol.metadata import MetadataRequest

from tests.brokers.apache_kafka import ApacheKafka, Node, free_ports
from tests.integration.topics import Topic
from tests.waiting import wait_until

_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_PROPERTIES = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "1",
    # What is broken is noticed within seconds.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.election.backoff.max.ms": "500",
    "controller.quorum.fetch.timeout.ms": "2000",
    "controller.quorum.request.timeout.ms": "1000",
    "replica.lag.time.max.ms": "2000",
    "replica.socket.timeout.ms": "2000",
    "auto.leader.rebalance.enable": "false",
    "group.min.session.timeout.ms": "1000",
    "controlled.shutdown.enable": "true",
}


class Cluster:
    """Three brokers; `nodes` has them by their id."""

    def __init__(self, folder: Path) -> None:
        controllers = dict(enumerate(free_ports(3), 1))
        self.nodes: dict[int, ApacheKafka] = {}
        for number in controllers:
            place = folder / f"node-{number}"
            place.mkdir()
            self.nodes[number] = ApacheKafka(place, node=Node(number, controllers, _PROPERTIES, _JVM))

    @property
    def addresses(self) -> str:
        """All brokers, whether they are there or not."""
        return ",".join(node.address for node in self.nodes.values())

    @property
    def well(self) -> str:
        """The brokers that are there and answer."""
        return ",".join(node.address for node in self.nodes.values() if node.well)

    def start(self) -> None:
        """Make everything whole: start what does not run, wait until it answers and every replica is in sync."""
        for node in self.nodes.values():
            if not node.runs:
                node.launch()
            elif not node.well:
                node.thaw()
        for node in self.nodes.values():
            node.wait_for_answer()
        wait_until(self._in_sync, 60, "all replicas to be in sync")

    def stop(self) -> None:
        """End all of them."""
        for node in self.nodes.values():
            node.kill()

    def topic(self, name: str, replicas: Mapping[int, Sequence[int]], **config: str) -> Topic:
        """A new topic; `replicas` has the nodes of each partition, the preferred leader first."""
        admin = KafkaAdminClient(bootstrap_servers=self.addresses)
        new = NewTopic(
            name=name,
            replica_assignments={partition: list(nodes) for partition, nodes in replicas.items()},
            topic_configs={key.replace("_", "."): value for key, value in config.items()},
        )
        admin.create_topics([new])
        admin.close()
        topic = Topic(self.addresses, name)
        wait_until(lambda: self._known_everywhere(name, len(replicas)), 20, f"all nodes to know {name}")
        return topic

    def leader(self, topic: str, partition: int = 0) -> int | None:
        """The node that leads a partition now; None where none does, or nobody says."""
        known = (self._partitions() or {}).get((topic, partition))
        return None if known is None or known["leader_id"] < 0 else int(known["leader_id"])

    def lead(self, topic: str, node: int, partition: int = 0) -> None:
        """Have another node lead a partition that it has; nobody has to die for that."""
        known = (self._partitions() or {})[topic, partition]
        replicas = [node, *(other for other in known["replica_nodes"] if other != node)]
        with closing(KafkaAdminClient(bootstrap_servers=self.well)) as admin:
            admin.alter_partition_reassignments({TopicPartition(topic, partition): replicas})
            admin.elect_leaders(0, {topic: [partition]})  # the preferred one, which comes first
        wait_until(lambda: self.leader(topic, partition) == node, 20, f"node {node} to lead {topic}[{partition}]")

    def coordinator(self) -> int | None:
        """The node that coordinates the groups: `__consumer_offsets` has one partition here."""
        return self.leader("__consumer_offsets")

    def _in_sync(self) -> bool:
        """By the word of each node: one that has just come back believes for a while what it knew before."""
        each = [self._partitions(node) for node in self.nodes.values()]
        return all(known is not None and all(map(_whole, known.values())) for known in each)

    def _known_everywhere(self, topic: str, partitions: int) -> bool:
        each = [self._partitions(node) or {} for node in self.nodes.values() if node.well]
        return all(
            known.get((topic, at), {"leader_id": -1})["leader_id"] >= 0 for known in each for at in range(partitions)
        )

    def _partitions(self, asked: ApacheKafka | None = None) -> dict[tuple[str, int], dict[str, Any]] | None:
        """What is known of each partition, by one node or by any; None where that is not there."""
        nodes = [asked] if asked else [node for node in self.nodes.values() if node.well]
        try:
            admin: Any = KafkaAdminClient(
                bootstrap_servers=[node.address for node in nodes], request_timeout_ms=2000, bootstrap_timeout_ms=5000
            )
            with closing(admin):
                answer = admin._manager.run(_ask, admin._manager, asked.id if asked else None)
        except (KafkaError, OSError):
            return None
        return {
            (topic["name"], partition["partition_index"]): partition
            for topic in answer["topics"]
            for partition in topic["partitions"]
        }


async def _ask(manager: Any, node_id: int | None) -> Any:
    """The metadata as one node has it, which the admin client cannot be asked for."""
    return (await manager.send(MetadataRequest(topics=None), node_id=node_id)).to_dict()


def _whole(partition: dict[str, Any]) -> bool:
    return partition["leader_id"] >= 0 and len(partition["isr_nodes"]) == len(partition["replica_nodes"])


@contextmanager
def kafka_cluster() -> Iterator[Cluster]:
    """A cluster of its own, for as long as the block runs."""
    with TemporaryDirectory(prefix="kafka-cluster-") as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
