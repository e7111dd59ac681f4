"""The private parts of kafka-python that we use, checked before any of them is used.

A later version may lack one of them. Then the start ends with a sentence that names it, and not with an
`AttributeError` in the middle of the night. Importing this module is the check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from typing import Any

from consumer.errors import ConsumerError

USED: Mapping[str, tuple[str, ...]] = {
    "kafka.admin.client:KafkaAdminClient": ("_find_coordinator_ids(keys)",),
    "kafka.cluster:ClusterMetadata": ("broker_metadata", "brokers", "is_bootstrap", "request_update", "topic_id"),
    "kafka.consumer.fetcher:Fetcher": ("PartitionRecords", "_append(drained, part, max_records, update_offsets)"),
    "kafka.consumer.fetcher:Fetcher.PartitionRecords": (
        "(fetch_offset, tp, records, isolation_level, aborted_transactions)",
        "_consume_aborted_transactions_up_to(offset)",
        "aborted_producer_ids",
        "bytes_read",
        "drain()",
        "fetch_offset",
        "isolation_level",
        "leader_epoch",
        "next_fetch_offset",
        "records_read",
        "take(n)",
    ),
    "kafka.consumer.group:KafkaConsumer": ("_fetcher", "_subscription"),
    "kafka.consumer.subscription_state:SubscriptionState": ("position(partition)", "seek(partition, offset)"),
    "kafka.coordinator.assignors.cooperative_sticky:CooperativeStickyAssignor": (),
    "kafka.coordinator.assignors.range:RangePartitionAssignor": (),
    "kafka.coordinator.assignors.roundrobin:RoundRobinPartitionAssignor": (),
    "kafka.future:Future": ("_callbacks", "_errbacks", "_lock", "chain(future)", "is_done"),
    "kafka.net.compat:KafkaNetClient": ("_net", "cluster"),
    "kafka.net.inet:create_connection": ("(net, host, port, socket_options, proxy_url, timeout_at)",),
    "kafka.net.manager:KafkaConnectionManager": (
        "_backoff",
        "_build_transport(node, timeout_at)",
        "_connect(node, conn, reset_backoff_on_connect, timeout_at)",
        "_conns",
        "cluster",
        "closed",
        "config",
        "get_connection(node_id)",
        "least_loaded_node()",
        "reset_backoff(node_id)",
        "run(coro)",
        "send(request, node_id)",
        "ssl_enabled",
        "update_backoff(node_id)",
        "wait_for(future, timeout_ms)",
    ),
    "kafka.net.selector:NetworkSelector": (
        "call_later(delay)",
        "call_soon_threadsafe",
        "run",
        "wait_read(fileobj, timeout_at)",
        "wait_write(fileobj, timeout_at)",
    ),
    "kafka.net.transport:KafkaSSLTransport": ("_sock_recv()", "_net", "_sock"),
    "kafka.net.transport:KafkaTCPTransport": ("_sock_recv()",),
    "kafka.protocol.consumer:IsolationLevel": ("READ_COMMITTED",),
    "kafka.record.memory_records:MemoryRecords": ("_buffer",),
    "kafka.record.util:calc_crc32c": ("(memview)",),
}
"""By module and class: attributes, of the class or set by its `__init__`, and methods with the parameters we pass."""


def lacking(used: Mapping[str, tuple[str, ...]] = USED) -> Iterator[str]:
    """The parts that are not there, or take other parameters."""
    for place, attributes in used.items():
        module, _, path = place.partition(":")
        try:
            found: Any = import_module(module)
            for name in path.split("."):
                found = getattr(found, name)
        except (ImportError, AttributeError):
            yield place.replace(":", ".")
            continue
        for attribute in attributes:
            if not _has(found, attribute):
                yield f"{place.replace(':', '.')}{'' if attribute.startswith('(') else '.'}{attribute}"


def _has(owner: Any, attribute: str) -> bool:
    name, _, parameters = attribute.partition("(")
    method = getattr(owner, name, None) if name else owner
    if method is None:
        classes = getattr(owner, "__mro__", ())
        return any(name in getattr(one.__init__, "__code__", _NO_CODE).co_names for one in classes)
    wanted = [one for one in parameters.rstrip(")").split(", ") if one]
    try:
        return not wanted or set(wanted) <= set(signature(method).parameters)
    except (TypeError, ValueError):  # no method any more, or its parameters are not known
        return False


_NO_CODE = lacking.__code__.replace(co_names=())


def _check() -> None:
    if missing := list(lacking()):
        try:
            installed = version("kafka-python")
        except PackageNotFoundError:
            installed = "of an unknown version"
        raise ConsumerError(
            f"kafka-python {installed} cannot be used: it lacks {', '.join(missing)}, or has it otherwise; install the "
            "version that requirements/runtime.txt names"
        )


_check()
