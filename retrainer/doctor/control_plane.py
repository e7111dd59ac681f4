"""Plain requests to the control plane, without the SDK, with or without a key."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import requests.auth
from urllib3.exceptions import InsecureRequestWarning

from schemas.hopsworks import Hopsworks
from stores.errors import ClusterError
from stores.hopsworks.failures import as_store_error

_BASE = "/hopsworks-api/api"
_CONNECT = 3.0
_WITHIN_ITS_SECOND = 0.5  # a `Date` header has whole seconds: on average it is half a second late


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the control plane, of any status. `body` is None where it is not JSON."""

    status: int
    body: Any
    ahead: float | None
    """Seconds by which the server's clock is ahead of ours; None where the answer has no time."""


def get(cluster: Hopsworks, path: str, key: str | None = None) -> Answer:
    """Ask for a resource.

    Raises:
        ClusterError: there is no answer.
    """
    verify = str(cluster.ca_file) if cluster.verify and cluster.ca_file else cluster.verify
    url = f"https://{cluster.host}:{cluster.port}{_BASE}{path}"
    with requests.Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRequestWarning)
        # As the SDK sends it: with the proxies of the environment, without its certificates and passwords.
        request = session.prepare_request(requests.Request("GET", url, auth=_Key(key)))
        asked = _now()
        try:
            answer = session.send(
                request, verify=verify, timeout=(min(_CONNECT, cluster.request_timeout), cluster.request_timeout)
            )
        except (requests.RequestException, OSError) as error:
            raise as_store_error(f"reach {cluster.host}:{cluster.port}", error) from None
        return Answer(answer.status_code, _json(answer), _ahead(answer.headers.get("Date"), (asked + _now()) / 2))


@dataclass(frozen=True, slots=True)
class _Key(requests.auth.AuthBase):
    value: str | None = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value is not None:
            request.headers["Authorization"] = f"ApiKey {self.value}"
        return request


def is_about_tls(error: ClusterError) -> bool:
    """Whether an error of `get` is about certificates."""
    return isinstance(error.__context__, requests.exceptions.SSLError)


def variable(cluster: Hopsworks, name: str, key: str) -> str | None:
    """A variable of the cluster's administrator; None where it is not set.

    Raises:
        ClusterError: there is no answer.
    """
    answer = get(cluster, f"/variables/{name}", key)
    return str(answer.body.get("successMessage")) if answer.status == 200 and isinstance(answer.body, dict) else None


def _now() -> float:
    return time.time()


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _ahead(date: str | None, now: float) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp() + _WITHIN_ITS_SECOND - now
    except ValueError:
        return None
