"""The SDK, kept from printing, with a deadline on every request to the control plane.

What is private in the SDK and needed all the same is touched in this package only, and said here why. All of it was
read and run against 5.2.1; the version is pinned in pyproject.toml.
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

_CONNECT = 10.0  # seconds a connection may take

_printing = threading.RLock()


class _Patient(requests.adapters.HTTPAdapter):
    """An adapter whose requests have a deadline where the SDK gives none, which is nearly everywhere."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._deadline = (min(_CONNECT, timeout), timeout)

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self._deadline
        return super().send(*arguments, **options)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing of what the SDK prints, or warns of, gets out. The whole process prints nothing meanwhile."""
    with _printing, redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
        yield


def login(
    *, host: str, port: int, project: str, key: str, verify: bool, ca: str | None, certs: str, timeout: float
) -> Any:
    """Log in and give the project. The session that the SDK makes on the way has the deadline from its first request.

    Raises:
        Whatever the SDK raises.
    """
    sessions: Any = requests.sessions
    _drop_flight_client()
    before = sessions.HTTPAdapter
    sessions.HTTPAdapter = partial(_Patient, timeout)  # what a new session is made with; there is no way to hand one in
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
    """The SDK drops it with a connection only if that is still active; a stale one speaks with the host before."""
    if "hsfs.core.arrow_flight_client" in sys.modules:
        sys.modules["hsfs.core.arrow_flight_client"]._close()


def logout() -> None:
    """End the session and have its certificates removed."""
    with quiet():
        hopsworks.logout()
