"""From a cluster's name to a Kafka connection: the cluster gives brokers, certificates, topic and ids.

Settings that are given by hand stay. The cluster's answer is kept in the state folder, so that a service that starts
while the control plane is away listens all the same: events do not wait for the control plane.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from consumer.cluster import ClusterTrouble, ask_cluster
from consumer.deadline import Deadline
from consumer.errors import ConsumerError
from consumer.settings import Settings
from schemas.hopsworks import GroupFacts
from schemas.labels import LabelGroup
from schemas.log_events.service import CLUSTER_AWAY, WAITING_FOR_CLUSTER
from schemas.private import private_file, private_folder

log = structlog.get_logger()

_LONGEST_WAIT = 10.0  # shorter than the health check's patience
_DELAY = "; a change of it takes up to 30 minutes until the cluster heeds it"


def connected(
    settings: Settings,
    sleep: Callable[[float], None] = time.sleep,
    waiting: Callable[[], None] = lambda: None,
    deadline: Deadline | None = None,
) -> Settings:
    """The settings, completed by what the cluster says; unchanged where no cluster is named.

    Waits while the cluster cannot be reached and no earlier answer is kept. `waiting` is called before each try. A
    deadline ends the wait.

    Raises:
        TimedOut: the cluster did not answer for too long.
        ConsumerError: the cluster refuses the key, has no such group, or the group has no such topic.
    """
    if settings.hopsworks is None:
        return settings
    return with_facts(settings, _facts(settings, sleep, waiting, deadline or Deadline(0)))


def with_facts(settings: Settings, facts: GroupFacts) -> Settings:
    """The settings, completed by the facts of the groups.

    Raises:
        ConsumerError: a group does not have what the settings want.
    """
    group = settings.feature_group.model_copy(
        update={"id": facts.feature_group_id, "feature_store_id": facts.feature_store_id}
    )
    found: dict[str, Any] = {"topic": _topic(settings, facts)}
    if facts.kafka is not None and "bootstrap_servers" not in settings.kafka.model_fields_set:
        access = facts.kafka.model_dump()
        found |= {**access, "bootstrap_servers": list(facts.kafka.bootstrap_servers)}
    labels = settings.labels
    if labels is not None and (said := facts.labels) is not None:
        found["label_topic"] = _label_topic(settings, labels, said)
        labels = labels.model_copy(update={"id": said.feature_group_id, "feature_store_id": said.feature_store_id})
    given = {name: value for name, value in found.items() if name not in settings.kafka.model_fields_set}
    return settings.model_copy(
        update={"feature_group": group, "labels": labels, "kafka": settings.kafka.model_copy(update=given)},
    )


def _topic(settings: Settings, facts: GroupFacts) -> str:
    group, source = settings.feature_group, settings.kafka.source
    if source == "bridge":
        if facts.online_enabled:
            raise ConsumerError(
                f"feature group {group.name} is online-enabled and announces its changes itself; "
                "a bridge is not needed: unset RETRAINER_KAFKA__SOURCE"
            )
        return settings.kafka.topic if "topic" in settings.kafka.model_fields_set else f"{group.name}_changes"
    if not facts.online_enabled:
        raise ConsumerError(
            f"feature group {group.name} is offline-only, so nothing of it reaches Kafka: run `retrainer bridge` "
            "beside this service, and set RETRAINER_KAFKA__SOURCE=bridge for both"
        )
    if "topic" in settings.kafka.model_fields_set:
        return settings.kafka.topic
    topic = facts.notification_topic if source == "notification" else facts.ingestion_topic
    if topic is None:
        raise ConsumerError(
            f"feature group {group.name} has no {source} topic: `retrainer setup-hopsworks` sets it up{_DELAY}"
        )
    return topic


def _label_topic(settings: Settings, labels: LabelGroup, facts: GroupFacts) -> str:
    """The topic of labels. An offline-only group needs no source of its own: only the bridge publishes its changes."""
    ingested = settings.kafka.source == "ingestion"
    if not facts.online_enabled:
        if ingested:
            raise ConsumerError(
                f"label group {labels.name} is offline-only, so nothing of it is on the ingestion topic: set "
                "RETRAINER_KAFKA__SOURCE=notification, and run `retrainer bridge --labels` beside this service"
            )
        return settings.kafka.label_topic or f"{labels.name}_changes"
    topic = settings.kafka.label_topic or (facts.ingestion_topic if ingested else facts.notification_topic)
    if topic is None:
        raise ConsumerError(
            f"label group {labels.name} has no {'ingestion' if ingested else 'notification'} topic: "
            f"`retrainer setup-hopsworks` sets it up{_DELAY}"
        )
    return topic


def _facts(
    settings: Settings, sleep: Callable[[float], None], waiting: Callable[[], None], deadline: Deadline
) -> GroupFacts:
    kept = settings.state_dir / "cluster.json"

    def ask() -> GroupFacts:
        waiting()
        try:
            answer = ask_cluster(settings, "describe", str(settings.tls_dir), within=deadline.left)
            facts = GroupFacts.model_validate(answer)
        except ClusterTrouble as trouble:
            if trouble.again and (known := _kept(kept, settings)) is not None:
                log.warning(CLUSTER_AWAY, reason=str(trouble))
                return known
            if trouble.again:
                deadline.check(f"the cluster did not answer ({trouble})")
            raise
        deadline.moved()
        _keep(kept, settings, facts)
        return facts

    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, ClusterTrouble) and error.again),
        wait=wait_exponential_jitter(multiplier=1, max=_LONGEST_WAIT, jitter=1),
        before_sleep=_say,
        sleep=sleep,
        reraise=True,
    )
    return retrying(ask)


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.info(WAITING_FOR_CLUSTER, reason=str(error), next_try_s=round(state.upcoming_sleep, 1))


def _keep(path: Path, settings: Settings, facts: GroupFacts) -> None:
    private_folder(path.parent, kept=0o011)
    fresh = path.with_name(f"{path.name}.new")
    private_file(fresh).write_text(f"{_of(settings)}\n{facts.model_dump_json()}")
    fresh.replace(path)


def _kept(path: Path, settings: Settings) -> GroupFacts | None:
    """The kept answer about the same groups of the same project, if its certificates are there still."""
    try:
        whose, facts = path.read_text().split("\n", 1)
        known = GroupFacts.model_validate_json(facts)
    except (OSError, ValueError, ValidationError):
        return None
    files = [] if known.kafka is None else [known.kafka.ssl_cafile, known.kafka.ssl_certfile, known.kafka.ssl_keyfile]
    if whose != _of(settings) or not all(file is None or file.is_file() for file in files):
        return None
    return known


def _of(settings: Settings) -> str:
    cluster, group = settings.hopsworks, settings.feature_group
    assert cluster is not None
    labels = "" if settings.labels is None else f"/{settings.labels.name}/{settings.labels.version}"
    return f"{cluster.host}:{cluster.port}/{cluster.project}/{group.name}/{group.version}{labels}"
