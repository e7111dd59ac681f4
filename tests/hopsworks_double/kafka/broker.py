"""The broker of the test, as the cluster's own services reach it."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.hopsworks_double.cluster import Cluster

PATIENCE = 30.0


def client_config(cluster: Cluster) -> dict[str, Any]:
    """For confluent-kafka; over TLS with the project's own certificate."""
    assert cluster.kafka is not None
    config = {"bootstrap.servers": cluster.kafka.bootstrap_servers, "log_level": 2}
    if cluster.kafka.security_protocol == "PLAINTEXT":
        return config
    return config | {
        "security.protocol": "SSL",
        "ssl.ca.pem": cluster.pki.ca_pem,
        "ssl.certificate.pem": cluster.pki.client_pem,
        "ssl.key.pem": cluster.pki.client_key_pem,
        "ssl.endpoint.identification.algorithm": "none",
    }


def create_topic(cluster: Cluster, name: str, partitions: int = 1, replicas: int = 1) -> bool:
    """Make a topic; False if it was there."""
    admin = AdminClient(client_config(cluster))
    made = admin.create_topics([NewTopic(name, partitions, replicas)], operation_timeout=PATIENCE)[name]
    try:
        made.result(PATIENCE)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise
    return True


def delete_topic(cluster: Cluster, name: str) -> None:
    """Remove a topic."""
    AdminClient(client_config(cluster)).delete_topics([name], operation_timeout=PATIENCE)[name].result(PATIENCE)
