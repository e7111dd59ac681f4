"""kafka-python's network client, with what it lacks where a connection is refused.

Version 3.0 of kafka-python, as it is,

- knocks until its time is up, and tells the reason only to its own log;
- comes back without a pause where it was refused after the handshake;
- asks a broker that hangs who leads now, again and again, as nothing is under way there but its own attempt to connect;
- leaves something of each wait that ran out of time on the future that it waited for, which stays the same one while
  no broker answers.

What it lacks for a single connection is in `transports.py`.
"""

from __future__ import annotations

import random
import ssl
import threading
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from kafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.future import Future
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from consumer.kafka.oauth import TokenError
from consumer.kafka.transports import open_transport

_LOOK_EVERY = 0.2
_REFUSALS = (
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    IllegalSaslStateError,
    TokenError,
    ssl.SSLError,
)


class Failure(NamedTuple):
    """Why there is no connection to an address (`host:port`)."""

    address: str
    error: BaseException

    @property
    def refused(self) -> bool:
        """Whether the broker refused us, so that another attempt at once is of no use."""
        return isinstance(origin(self.error), _REFUSALS)


def origin(error: BaseException) -> BaseException:
    """The error that the client wrapped into one of its own."""
    wrapped = error.args[0] if isinstance(error, KafkaConnectionError) and error.args else None
    return wrapped if isinstance(wrapped, BaseException) else error.__cause__ or error


class WatchedClient(KafkaNetClient):  # type: ignore[misc]
    """A network client that knows why it is not connected. For the `kafka_client` of consumer, producer and admin."""

    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        self._watched = _Manager(net, **configs)
        self._ends_with: threading.Event | None = None
        super().__init__(net=net, manager=self._watched)

    @property
    def failure(self) -> Failure | None:
        """Why the client last had no connection to a broker; None where nothing is in the way now."""
        known = list(self._watched.failures.values())  # in one step: the client's thread changes the dict
        return known[-1] if known else None

    def end_with(self, event: threading.Event | None) -> None:
        """Close the client when the event is set, which ends all its waits; None takes that back."""
        self._ends_with = event
        if event is not None:
            self._net.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if self._ends_with is None or self._watched.closed:
            return
        if self._ends_with.is_set():
            self._watched.close()
        else:
            self._net.call_later(_LOOK_EVERY, self._look)

    def refresh_metadata(self, timeout_ms: int) -> None:
        """Ask the brokers what they know of the topics now. (The client's public ways wait without end.)

        Raises:
            KafkaError: they do not answer in time.
        """
        self._net.run(self._watched.wait_for, self._watched.cluster.request_update(), timeout_ms)

    def run(self, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
        """What a coroutine brings that runs on the client's thread."""
        return self._watched.run(work, *arguments)

    async def send_to(self, request: Any, node_id: Any) -> Any:
        """The answer of a broker to a request; for coroutines of `run`."""
        return await self._watched.send(request, node_id=node_id)

    def report_to(self, report: Callable[[Failure], None]) -> None:
        """Call `report` when a connection to an address fails for another reason than the last time. Thread-safe."""
        self._watched.report = report


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    def __init__(self, net: Any, **configs: Any) -> None:
        super().__init__(net, **configs)
        for name in ("socket_connection_setup_timeout_ms", "socket_connection_setup_timeout_max_ms"):
            self.config[name] = min(self.config[name], self.config["request_timeout_ms"])
        self.failures: dict[str, Failure] = {}
        self.report: Callable[[Failure], None] | None = None
        self._said: dict[str, str] = {}  # what was reported of an address
        self._refusal: BaseException | None = None  # of a bootstrap connection, raised once

    def get_connection(self, node_id: Any, *arguments: Any, **named: Any) -> Any:
        if self._refusal is not None and self.cluster.is_bootstrap(node_id):
            # The bootstrap ends here, and does not knock until its time is up; our caller waits longer each time.
            refusal, self._refusal = self._refusal, None
            raise refusal
        known = node_id in self._conns
        connection = super().get_connection(node_id, *arguments, **named)
        if not known:
            node = self.cluster.broker_metadata(node_id)
            address = f"{node.host}:{node.port}"
            connection.init_future.add_callback(lambda _: self._connected(address, connection))
            connection.init_future.add_errback(lambda error: self._failed(node_id, Failure(address, error)))
        return connection

    def least_loaded_node(self) -> Any:
        # Any of the connected ones: the least loaded may be the same each time, and may have come back just now.
        connected = [broker.node_id for broker in self.cluster.brokers() if self._answers(broker.node_id)]
        return random.choice(connected) if connected else super().least_loaded_node()  # noqa: S311

    def _answers(self, node_id: Any) -> bool:
        connection = self._conns.get(node_id)
        return connection is not None and connection.connected and not connection.paused

    def _connected(self, address: str, connection: Any) -> None:
        self.failures.pop(address, None)
        self._said.pop(address, None)
        connection.close_future.add_errback(lambda error: self._note(Failure(address, error)))

    def _failed(self, node_id: Any, failure: Failure) -> None:
        if not self._note(failure):
            return
        tokens = self.config["sasl_oauth_token_provider"]
        if tokens is not None and isinstance(failure.error, SaslAuthenticationFailedError):
            tokens.forget()
        if failure.refused and self.cluster.is_bootstrap(node_id):
            self._refusal = failure.error
        kind = _kind(failure)
        if self.report is not None and self._said.get(failure.address) != kind:
            self._said[failure.address] = kind
            self.report(failure)

    def _note(self, failure: Failure) -> bool:
        if self.closed or _is_ours(failure.error):
            return False
        self.failures.pop(failure.address, None)  # the latest comes last
        self.failures[failure.address] = failure
        return True

    async def _connect(
        self, node: Any, conn: Any, reset_backoff_on_connect: bool = True, timeout_at: float | None = None
    ) -> None:
        before = self._backoff.get(node.node_id)
        await super()._connect(node, conn, reset_backoff_on_connect=False, timeout_at=timeout_at)
        if not reset_backoff_on_connect:
            return
        if conn.connected:
            self.reset_backoff(node.node_id)
        elif self._backoff.get(node.node_id) == before:
            self.update_backoff(node.node_id)  # refused after the handshake, which the original counts as success

    async def wait_for(self, future: Any, timeout_ms: float | None) -> Any:
        ours = Future()
        future.chain(ours)
        try:
            return await super().wait_for(ours, timeout_ms)
        finally:
            _unchain(future, ours)

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        return await open_transport(self._net, node, self.config, timeout_at, tls=self.ssl_enabled)


def _unchain(future: Any, chained: Any) -> None:
    with future._lock:  # noqa: SLF001
        if not future.is_done:
            future._callbacks.remove(chained.success)  # noqa: SLF001
            future._errbacks.remove(chained.failure)  # noqa: SLF001


def _kind(failure: Failure) -> str:
    """The text without its digits: times, line numbers and ports differ from one failure to the next."""
    return "".join(character for character in str(failure.error) if not character.isdigit())


def _is_ours(error: BaseException) -> bool:
    """Whether the error only says that we closed the connection."""
    return isinstance(error, KafkaConnectionError) and not error.args
