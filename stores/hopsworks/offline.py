"""The offline store, read as a stream through the query service (Arrow Flight).

The SDK opens its Flight client at the first read. Where the service is down or silent at that time, the SDK tries for
most of a minute and keeps a broken client. So the connection is tested first, and each failure drops the client.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hopsworks_common import client
from hopsworks_common.client.exceptions import FeatureStoreException
from hsfs.core import arrow_flight_client
from hsfs.core.variable_api import VariableApi
from pyarrow import flight

from stores.errors import ClusterUnreachable
from stores.hopsworks.session import Session

FLIGHT_PORT = 5005  # the SDK knows no other
_KNOCK = 5.0


def stream(session: Session, found: Any, query: Any, what: str, timeout: float) -> Iterator[Any]:
    """The Arrow batches of a query on the SDK's feature group, as they arrive.

    Raises:
        ClusterError: the service cannot be reached, or the stream broke off; what came before is incomplete.
    """
    knocking = min(_KNOCK, session.cluster.request_timeout)
    opened, first = session.ask(what, lambda: _open(found, query, what, timeout, knocking))
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


def _open(found: Any, query: Any, what: str, timeout: float, knocking: float) -> tuple[Any, Any]:
    """The stream and its first batch: the service sends nothing before the first batch is asked for."""
    batches = query.read_batches(read_options={"arrow_flight_config": {"timeout": timeout}})
    try:
        _knock(what, knocking)
        opened = _Closing(batches, batches.__enter__())
        return opened, next(opened, None)
    except FeatureStoreException as error:
        arrow_flight_client._close()
        if _says_there_is_nothing(error) and not _was_written(found):
            return _Closing(nullcontext(), iter(())), None
        raise
    except (AttributeError, ValueError) as error:
        arrow_flight_client._close()
        if type(error) not in {AttributeError, ValueError}:
            raise
        # A Flight client that failed to start has no `_server_version`, and the SDK's message then is about Hive.
        raise ClusterUnreachable(f"{what}: the query service is not enabled, or did not let us in") from None
    except BaseException:
        arrow_flight_client._close()
        raise


def _knock(what: str, patience: float) -> None:
    """Connect to the service; where the SDK has no client yet, also ask the service whether it is healthy."""
    domain = VariableApi()._get_loadbalancer_external_domain("feature_query")
    try:
        socket.create_connection((domain, FLIGHT_PORT), timeout=patience).close()
    except OSError as error:
        raise ClusterUnreachable(
            f"{what}: the query service does not answer at {domain}:{FLIGHT_PORT}: {error}"
        ) from None
    if arrow_flight_client._arrow_flight_instance is None:
        _ask_after_health(domain, patience)


def _ask_after_health(domain: str, patience: float) -> None:
    """The first question of the SDK's client, asked once: the client asks five times, with half a minute of pauses."""
    login = client._get_instance()  # the only way to the certificates of this login
    door = flight.FlightClient(
        f"grpc+tls://{domain}:{FLIGHT_PORT}",
        tls_root_certs=Path(login._get_ca_chain_path()).read_bytes(),
        cert_chain=Path(login._get_client_cert_path()).read_bytes(),
        private_key=Path(login._get_client_key_path()).read_bytes(),
        override_hostname=f"flyingduck.service.{VariableApi()._get_service_discovery_domain()}",
    )
    with door:
        list(door.do_action(flight.Action("healthcheck", b""), flight.FlightCallOptions(timeout=patience)))


def _says_there_is_nothing(error: FeatureStoreException) -> bool:
    """Whether the error means that the table was never written."""
    cause = error.__cause__
    return bool(
        arrow_flight_client._is_no_commits_found_error(cause)
        or arrow_flight_client._is_no_metadata_found_error(cause)
        or arrow_flight_client._is_no_data_found_error(cause)
    )


def _was_written(found: Any) -> bool:
    """Whether the group has commits. The error alone is not proof enough to take all users for deleted."""
    try:
        return bool(found.commit_details(limit=1))
    except KeyError as error:
        if error.args == ("items",):  # the SDK expects a list that an answer without commits may lack
            return False
        raise


class _Closing:
    """An iterator of batches that closes its context when it is closed."""

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
