"""The facts of a cluster that the consumer needs: ids and topics of the groups, and how to reach its Kafka."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from schemas.events import Group
from schemas.features import FeatureGroup
from schemas.hopsworks import GroupFacts, KafkaAccess
from schemas.labels import LabelGroup
from stores.errors import ClusterError
from stores.files import replacing
from stores.hopsworks.groups import find_group
from stores.hopsworks.secrets import hide
from stores.hopsworks.session import Session

_FILES = {"ca": "ssl.ca.location", "certificate": "ssl.certificate.location", "key": "ssl.key.location"}


def group_facts(session: Session, group: FeatureGroup, labels: LabelGroup | None, tls_dir: Path) -> GroupFacts:
    """The facts of both groups; TLS material of the cluster's Kafka is copied into `tls_dir`.

    Raises:
        ClusterError: the cluster does not say, or a group is not there.
    """
    facts = _facts(session, group)
    kafka = session.ask("ask for the cluster's Kafka", lambda: _kafka(session, facts.feature_store_id, tls_dir))
    return facts.model_copy(update={"kafka": kafka, "labels": None if labels is None else _facts(session, labels)})


def _facts(session: Session, group: Group) -> GroupFacts:
    found = find_group(session, group)
    return GroupFacts(
        feature_group_id=found.id,
        feature_store_id=found.feature_store_id,
        online_enabled=bool(found.online_enabled),
        notification_topic=found.notification_topic_name or None,
        ingestion_topic=getattr(found, "_online_topic_name", None) or found.topic_name or None,  # no public name has it
        kafka=None,
    )


def _kafka(session: Session, feature_store_id: int, tls_dir: Path) -> KafkaAccess:
    """Brokers as the SDK's own inserts use them: no other way knows a project's own Kafka."""
    store = session.project.get_feature_store()
    connector = store._storage_connector_api._get_kafka_connector(feature_store_id, external=True)
    options: dict[str, Any] = connector.confluent_options()
    hide(options.get("sasl.password"))
    protocol = options.get("security.protocol", "PLAINTEXT")
    if protocol not in {"PLAINTEXT", "SSL"}:
        raise ClusterError(
            f"the cluster's Kafka wants {protocol}; set RETRAINER_KAFKA__SECURITY_PROTOCOL and what goes with it"
        )
    kept = {name: _copied(options.get(option), tls_dir / f"{name}.pem") for name, option in _FILES.items()}
    return KafkaAccess(
        bootstrap_servers=tuple(server.strip() for server in options["bootstrap.servers"].split(",")),
        security_protocol=protocol,
        ssl_cafile=kept["ca"],
        ssl_certfile=kept["certificate"],
        ssl_keyfile=kept["key"],
        ssl_check_hostname=options.get("ssl.endpoint.identification.algorithm", "https") != "none",
    )


def _copied(source: str | None, target: Path) -> Path | None:
    """A private copy: the SDK removes its files with its session, or other processes overwrite them."""
    if source is None:
        return None
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.parent.chmod(0o700)
    with replacing(target) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(Path(source).read_bytes())
    return target
