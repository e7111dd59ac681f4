"""Kafka: brokers, topic, partitions and group, without joining the group, so that no service is disturbed."""

from __future__ import annotations

from typing import Any

from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    CorruptRecordError,
    GroupAuthorizationFailedError,
    KafkaError,
    NotCoordinatorError,
    UnsupportedVersionError,
)
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from consumer.errors import LedgerError, NoLedger
from consumer.kafka.group import WAY_OUT, Member, Membership, in_words, members_of, strangers
from consumer.kafka.ports import Admin
from consumer.ledger.ledger import Ledger
from consumer.ledger.looking import look
from retrainer.doctor.brokers import admin
from retrainer.doctor.checks import Check, CheckFailed, Finding, failed, ok, warning
from retrainer.doctor.context import CheckContext
from retrainer.doctor.group import NOTIFICATION, ONLINE
from retrainer.doctor.model_events import model_event_checks
from retrainer.doctor.topic import UNREADABLE, newest_judged

BROKERS, TOPIC, PARTITIONS, GROUP = "Kafka", "topic", "partitions", "consumer group"

_UNKNOWN_TOPIC, _TOPIC_DENIED = 3, 29
_COORDINATOR = 5.0  # seconds until a broker that has just started knows the coordinator of a group
_UNSETTLED = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)
_BROKERS = "ask whoever runs the brokers"


def kafka_checks(context: CheckContext) -> list[Check]:
    """The checks, from connection to group."""
    after = (ONLINE,) if context.has_cluster else ()
    told = (NOTIFICATION,) if context.has_cluster else ()
    return [
        Check(BROKERS, lambda: _brokers(context), needs=after, todo=_BROKERS),
        Check(TOPIC, lambda: _topic(context), needs=(BROKERS, *told), todo=_BROKERS),
        Check(PARTITIONS, lambda: _partitions(context), needs=(TOPIC,)),
        Check(GROUP, lambda: _group(context), needs=(BROKERS,), todo=_BROKERS),
        *model_event_checks(context, (BROKERS,)),
    ]


def _brokers(context: CheckContext) -> Finding:
    kafka = context.kafka
    with admin(kafka):
        servers = ", ".join(kafka.bootstrap_servers)
        by_hand = not context.has_cluster or "bootstrap_servers" in context.settings.kafka.model_fields_set
        return ok(f"{servers} by {kafka.security_protocol}{'' if by_hand else ', as the cluster says'}")


def _topic(context: CheckContext) -> Finding:
    connection = context.connection()
    if connection.no_topic is not None:
        return failed(connection.no_topic, "write rows into the group once, or use its notification topic")
    if code := context.topic()["error_code"]:
        return _no_topic(context, code)
    try:
        newest = context.newest()
    except CorruptRecordError as error:
        return warning(f"{context.kafka.topic} can be read, but its newest record not: {error}", UNREADABLE)
    return newest_judged(newest, connection.settings)


def _no_topic(context: CheckContext, code: int) -> Finding:
    topic = context.kafka.topic
    made_by_us = context.has_cluster and context.kafka.source != "ingestion"
    make = "retrainer setup-hopsworks" if made_by_us else f"make it, or set RETRAINER_KAFKA__TOPIC (now {topic})"
    if code == _UNKNOWN_TOPIC:
        return failed(f"there is no topic {topic}", make)
    if code == _TOPIC_DENIED:
        # Hopsworks' own Kafka says so for a topic that does not exist, too.
        return failed(
            f"topic {topic} is not there, or reading it is not permitted", f"{make}; or have it permitted (ACL)"
        )
    return failed(f"the brokers answer with error {code} about topic {topic}", _BROKERS)


def _partitions(context: CheckContext) -> Finding:
    partitions = context.topic()["partitions"]
    copies = min(len(one["replica_nodes"]) for one in partitions)
    found = f"{len(partitions)}, with {copies} {'copy' if copies == 1 else 'copies'} of each"
    if headless := sorted(one["partition_index"] for one in partitions if one["leader_id"] < 0):
        return failed(f"{found}; partitions {headless} have no leader, so nothing is read or written there", _BROKERS)
    behind = [one["partition_index"] for one in partitions if len(one["isr_nodes"]) < len(one["replica_nodes"])]
    if behind:
        return warning(f"{found}; copies of partitions {sorted(behind)} are behind or away", _BROKERS)
    if len(partitions) == 1:
        return warning(
            f"{found}: one instance can read it, no more",
            f"for several give it more: kafka-topics.sh --alter --topic {context.kafka.topic} --partitions 3",
        )
    return ok(found)


def _group(context: CheckContext) -> Finding:
    group = context.kafka.group_id
    with admin(context.kafka) as client:
        try:
            _patiently(lambda: client.list_group_offsets(group))
            described = _described(client, group)
            found = _strangers(context, client)
        except GroupAuthorizationFailedError:
            raise _denied(group) from None
        except KafkaError as error:
            raise CheckFailed(f"the brokers do not tell of group {group}: {error}", _BROKERS) from None
    permitted = described.get("authorized_operations")
    if "Authorization" in str(described.get("error")) or (permitted and "READ" not in permitted):
        raise _denied(group)
    if found:
        raise CheckFailed(in_words(found, group), WAY_OUT)
    members = len(described.get("members", ()))
    # The brokers do not say it for a group that was never used.
    may = "may be joined" if permitted else "may be looked at; whether it may be joined, the brokers do not say yet"
    return ok(f"{group} {may}; {f'{members} reading' if members else 'nobody reads'} now")


def _strangers(context: CheckContext, client: Admin) -> list[Member]:
    """Members of the group that are not instances of the ledger; instances that have ended lately count as such."""
    members, ours = members_of(client, context.kafka.group_id), set[str]()
    if not members:
        return []
    try:
        ours = look(context.settings.ledger.url, _instances)
    except NoLedger:
        pass  # without a ledger, every member belongs to another one
    except LedgerError:
        return []  # the check of the ledger reports it
    return strangers(members, context.kafka.topics, ours)


def _instances(ledger: Ledger) -> set[str]:
    return {Membership(ledger.ledger_id, one.id).client_id for one in ledger.instances.all()}


def _described(client: Admin, group: str) -> dict[str, Any]:
    """The group; empty where the client does not understand the broker, as with brokers other than Apache Kafka."""
    try:
        described: dict[str, Any] = _patiently(lambda: client.describe_groups([group])[group])
    except (ValueError, UnsupportedVersionError):
        return {}
    return described


def _denied(group: str) -> CheckFailed:
    return CheckFailed(
        f"the brokers do not permit the group {group}",
        f"have READ on the group permitted (kafka-acls.sh --add --operation Read --group {group}), "
        "or set RETRAINER_KAFKA__GROUP_ID to one that is",
    )


def _patiently(ask: Any) -> Any:
    """Ask again while a broker looks for the coordinator of a group, as at the first request for the group."""
    return Retrying(
        retry=retry_if_exception_type(_UNSETTLED),
        wait=wait_fixed(0.3),
        stop=stop_after_delay(_COORDINATOR),
        reraise=True,
    )(ask)
