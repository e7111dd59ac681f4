"""The offline store, read as a stream through the query service (Arrow Flight).

The SDK opens its Flight client at the first read. Where the service is down then, it tries for most of a minute and
leaves a client that is good for nothing; so we knock first, and drop the client after every failure.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from hsfs.core import arrow_flight_client
from hsfs.core.variable_api import VariableApi

from trainer.errors import Unreachable
from trainer.hopsworks.session import Session

FLIGHT_PORT = 5005  # the SDK knows no other
_KNOCK = 5.0


def stream(session: Session, query: Any, what: str, timeout: float) -> Iterator[Any]:
    """The Arrow batches of a query, as the service sends them.

    Raises:
        ClusterError: the service cannot be reached, or broke off; what came before that is not all.
    """
    opened, first = session.ask(what, lambda: _open(query, what, timeout))
    try:
        batch = first
        while batch is not None:
            yield batch
            batch = session.once(what, lambda: next(opened, None))
    except BaseException:
        arrow_flight_client._close()
        raise
    finally:
        opened.close()


def _open(query: Any, what: str, timeout: float) -> tuple[Any, Any]:
    """The stream and its first batch: nothing is sent before the first is asked for."""
    try:
        _knock(what)
        batches = query.read_batches(read_options={"arrow_flight_config": {"timeout": timeout}})
        opened = batches.__enter__()
        return _Closing(batches, opened), next(opened, None)
    except (AttributeError, ValueError):
        # A Flight client that failed to begin has no `_server_version`; without one the SDK speaks of Hive or the like.
        arrow_flight_client._close()
        raise Unreachable(f"{what}: the query service is not enabled, or did not let us in") from None
    except BaseException:
        arrow_flight_client._close()
        raise


def _knock(what: str) -> None:
    domain = VariableApi()._get_loadbalancer_external_domain("feature_query")
    try:
        socket.create_connection((domain, FLIGHT_PORT), timeout=_KNOCK).close()
    except OSError as error:
        raise Unreachable(f"{what}: the query service does not answer at {domain}:{FLIGHT_PORT}: {error}") from None


class _Closing:
    """An iterator of batches that ends its context with itself."""

    def __init__(self, context: Any, batches: Iterator[Any]) -> None:
        self._context = context
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._batches)

    def close(self) -> None:
        """Release the stream, whether it was read to its end or not."""
        self._context.__exit__(None, None, None)
