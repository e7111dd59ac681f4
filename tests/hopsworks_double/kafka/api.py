"""Kafka as the control plane tells of it: where the brokers are, the topics of the project, the schemas of messages."""

from __future__ import annotations

import json

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control.metadata import Json, listing
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply
from tests.hopsworks_double.kafka import broker
from tests.hopsworks_double.rows.held import HeldGroup

TOPIC_NOT_FOUND = 190000
TOPIC_EXISTS = 190002
SCHEMA_NOT_FOUND = 190006

_FIRST_SCHEMA_ID = 7


class KafkaApi:
    """Topics are made on the broker where the test has one."""

    def __init__(self, cluster: Cluster, control: ControlPlane) -> None:
        self._cluster = cluster
        self._schemas: dict[str, list[str]] = {one.table: [json.dumps(one.codec.schema)] for one in cluster.groups}
        self.topics: dict[str, Json] = {}
        if any(one.online for one in cluster.groups):
            self._know(cluster.spec.ingestion_topic, 1)
        for topic in (one.notification_topic for one in cluster.groups):
            if topic is not None:
                self._know(topic, cluster.spec.notification_partitions)
        add, kafka = control.router.add, f"{control.project}/kafka"
        subjects = f"{control.project}/featurestores/{{store}}/kafka/subjects"
        add("GET", f"{control.store}/storageconnectors/kafka_connector/byok", self._connector)
        add("GET", f"{kafka}/clusterinfo", lambda _: Reply(200, {"brokers": self._brokers().split(",")}))
        add("GET", f"{kafka}/topics", lambda _: Reply(200, listing(list(self.topics.values()))))
        add("POST", f"{kafka}/topics", self._create_topic)
        add("DELETE", f"{kafka}/topics/{{name}}", self._delete_topic)
        add("GET", f"{subjects}/{{subject}}/versions/{{version}}", self._schema)
        add("GET", f"{kafka}/subjects/{{subject}}/versions/{{version}}", self._schema)
        add("GET", f"{kafka}/subjects/{{subject}}/versions", self._versions)
        add("POST", f"{kafka}/subjects/{{subject}}/versions", self._create_schema)

    def serve(self, group: HeldGroup) -> None:
        """Hand out the schema of a group."""
        self._schemas[group.table] = [json.dumps(group.codec.schema)]

    def start(self) -> None:
        """Make the topics that the cluster has from the start, where they are missing."""
        if self._cluster.kafka is not None:
            for topic in self.topics.values():
                broker.create_topic(self._cluster, topic["name"], topic["numOfPartitions"])

    def _know(self, name: str, partitions: int) -> None:
        self.topics[name] = {"name": name, "numOfReplicas": 1, "numOfPartitions": partitions, "shared": False}

    def _brokers(self) -> str:
        # Without a broker of the test this is an address where nobody listens.
        kafka = self._cluster.kafka
        return f"{self._cluster.host}:9092" if kafka is None else kafka.bootstrap_servers

    def _connector(self, _: ApiCall) -> Reply:
        kafka = self._cluster.kafka
        connector: Json = {
            "type": "featurestoreKafkaConnectorDTO",
            "storageConnectorType": "KAFKA",
            "id": self._cluster.connector_id,
            "name": "kafka_connector",
            "featurestoreId": self._cluster.feature_store_id,
            "bootstrapServers": self._brokers(),
            "securityProtocol": "PLAINTEXT" if kafka is None else kafka.security_protocol,
            "sslEndpointIdentificationAlgorithm": "",
            "externalKafka": kafka is None or kafka.security_protocol == "PLAINTEXT",
        }
        return Reply(200, connector)

    def _create_topic(self, call: ApiCall) -> Reply:
        asked = call.json()
        name, partitions, replicas = asked["name"], asked.get("numOfPartitions") or 1, asked.get("numOfReplicas") or 1
        if asked.get("schemaName") not in self._schemas:
            raise ApiError(404, SCHEMA_NOT_FOUND, "Topic has no schema attached to it.")
        made = name not in self.topics
        if made and self._cluster.kafka is not None:
            made = broker.create_topic(self._cluster, name, partitions, replicas)
        if not made:
            raise ApiError(409, TOPIC_EXISTS, "Kafka topic already exists. Pick a different topic name")
        self._know(name, partitions)
        return Reply(201, self.topics[name])

    def _delete_topic(self, call: ApiCall) -> Reply:
        if self.topics.pop(call.parts["name"], None) is None:
            raise ApiError(404, TOPIC_NOT_FOUND, "No topics found")
        if self._cluster.kafka is not None:
            broker.delete_topic(self._cluster, call.parts["name"])
        return Reply(204)

    def _versions(self, call: ApiCall) -> Reply:
        return Reply(200, list(range(1, len(self._found(call)) + 1)))

    def _schema(self, call: ApiCall) -> Reply:
        schemas, asked = self._found(call), call.parts["version"]
        version = len(schemas) if asked == "latest" else int(asked)
        if not 1 <= version <= len(schemas):
            raise ApiError(404, SCHEMA_NOT_FOUND, "Schema not found")
        subject = call.parts["subject"]
        schema_id = _FIRST_SCHEMA_ID + list(self._schemas).index(subject)
        return Reply(200, {"id": schema_id, "subject": subject, "version": version, "schema": schemas[version - 1]})

    def _create_schema(self, call: ApiCall) -> Reply:
        subject = call.parts["subject"]
        schemas = self._schemas.setdefault(subject, [])
        schemas.append(call.json()["schema"])
        return Reply(200, {"id": _FIRST_SCHEMA_ID, "subject": subject, "version": len(schemas)})

    def _found(self, call: ApiCall) -> list[str]:
        if call.parts["subject"] not in self._schemas:
            raise ApiError(404, SCHEMA_NOT_FOUND, "Schema not found")
        return self._schemas[call.parts["subject"]]
