"""The SDK, kept from printing, with a deadline on every request to the control plane.

Only this package touches private parts of the SDK, and says why at each place. All of it was read and run against
5.2.1; pyproject.toml pins the version.
"""

from __future__ import annotations

import io
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import Any

import hopsworks
import requests
import requests.adapters
import requests.sessions

_CONNECT = 10.0  # seconds until a connection is made

_printing = threading.RLock()


class _Patient(requests.adapters.HTTPAdapter):
    """An adapter whose requests have a deadline where the SDK sets none; the SDK nearly never does."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._deadline = (min(_CONNECT, timeout), timeout)

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self._deadline
        return super().send(*arguments, **options)


@contextmanager
def quiet() -> Iterator[None]:
    """Swallow what the SDK prints and warns of. The whole process prints nothing in that time."""
    with _printing, redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
        yield


def login(
    *, host: str, port: int, project: str, key: str, verify: bool, ca: str | None, certs: str, timeout: float
) -> Any:
    """Log in and return the project. The SDK's HTTP session has the deadline from its first request on.

    Raises:
        Exception: anything that the SDK raises.
    """
    sessions: Any = requests.sessions
    _drop_flight_client()
    before = sessions.HTTPAdapter
    sessions.HTTPAdapter = partial(_Patient, timeout)  # the SDK makes its session itself, with this class
    try:
        with quiet():
            return hopsworks.login(
                host=host,
                port=port,
                project=project,
                api_key_value=key,
                hostname_verification=verify,
                trust_store_path=ca,
                cert_folder=certs,
                engine="python",
            )
    finally:
        sessions.HTTPAdapter = before


def _drop_flight_client() -> None:
    """The SDK drops the client only with an active connection; a stale client still speaks with the earlier host."""
    if "hsfs.core.arrow_flight_client" in sys.modules:
        sys.modules["hsfs.core.arrow_flight_client"]._close()


def logout() -> None:
    """End the session; the SDK removes its certificates."""
    with quiet():
        hopsworks.logout()
