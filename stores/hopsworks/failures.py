"""Turns what the SDK raises into errors of ours: what was asked for, what came back, and whether a new try may help.

The SDK's own texts hold URLs, whole response bodies and more, so our messages do not quote them. Of a server's error
they name status, code and message, with known secrets blanked out.
"""

from __future__ import annotations

import json

import requests
from pyarrow import flight
from sqlalchemy.exc import DBAPIError

from stores.errors import ClusterError, ClusterUnreachable, NotThere, Refused, StoreError, Unauthorized
from stores.hopsworks.secrets import redacted

_LONGEST = 300  # characters of a server's own words
_ACCESS_DENIED = 1045  # of MySQL
_NOT_FOUND_CODES = {110018}  # a dataset path that is absent comes with status 400
_BUSY = {408, 425, 429}
_NOT_LET_IN = (flight.FlightUnauthenticatedError, flight.FlightUnauthorizedError)


def as_store_error(what: str, error: BaseException) -> StoreError:
    """The error of ours for `error`, which the SDK raised while it did `what`."""
    if isinstance(error, StoreError):
        return error
    if (answer := _answer(error)) is not None:
        return _by_status(what, *answer)
    if is_access_denied(error):
        return Unauthorized(f"{what}: the online store does not know the password any more")
    if type(error).__name__ == "NoHopsworksConnectionError" or str(error).startswith("Couldn't find client"):
        return Unauthorized(f"{what}: not logged in")  # as after a failed renewal; the next renewal may work
    if (reason := _silence(error)) is not None:
        # The query service identifies us by the certificates of the login, so a new login may help.
        kind = Unauthorized if isinstance(error, _NOT_LET_IN) else ClusterUnreachable
        return kind(f"{what}: {reason}")
    chained = error.__cause__ or error.__context__
    if chained is not None and _SDK_FAULTS & {kind.__name__ for kind in type(error).__mro__}:
        return as_store_error(what, chained)
    return ClusterError(f"{what}: {type(error).__name__}: {_shortened(str(error))}")


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error that the SDK raised for an answer."""
    answer = _answer(error)
    return None if answer is None else answer[0]


def code_of(error: BaseException) -> int | None:
    """Hopsworks' own code for an error that the SDK raised for an answer."""
    answer = _answer(error)
    return None if answer is None else answer[1]


_SDK_FAULTS = {"FeatureStoreException", "ProjectException", "ModelRegistryException", "HopsworksSSLClientError"}
"""Errors of the SDK that wrap a more precise error."""


def _answer(error: BaseException) -> tuple[int, int | None, str | None] | None:
    """Status, Hopsworks' code and message of an error answer; no message where the answer is not from Hopsworks."""
    response = getattr(error, "response", None)
    if not isinstance(response, requests.Response):
        return None
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return response.status_code, None, None
    code = body.get("errorCode")
    words = body.get("usrMsg") or body.get("errorMsg") or body.get("message") or ""
    return response.status_code, code if isinstance(code, int) else None, str(words)


def _by_status(what: str, status: int, code: int | None, words: str | None) -> ClusterError:
    said = f": {_shortened(words)}" if words else ""
    message = f"{what}: HTTP {status}" + (f", code {code}" if code else "") + said
    if status in {401, 403}:
        return Unauthorized(message)
    if status == 404 and words is None:  # from a proxy, as during an upgrade: nothing is known
        return ClusterUnreachable(f"{message}, which Hopsworks does not say like that; is a proxy in between?")
    if status == 404 or (status == 400 and code in _NOT_FOUND_CODES):
        return NotThere(message)
    if status >= 500 or status in _BUSY:
        return ClusterUnreachable(message)
    return Refused(message)


def _silence(error: BaseException) -> str | None:
    """Why there was no usable answer; None where there was one."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"no secure connection: {_shortened(_innermost(error))}; is the CA right (RETRAINER_HOPSWORKS__CA_FILE)?"
    if isinstance(error, requests.exceptions.Timeout | TimeoutError):
        return "no answer in time"
    if isinstance(error, requests.exceptions.JSONDecodeError | json.JSONDecodeError):
        return "the answer is not JSON; is a proxy in between?"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return "the answer broke off"
    if isinstance(error, requests.exceptions.ConnectionError):
        return f"no connection: {_shortened(_innermost(error))}"
    if isinstance(error, flight.FlightError):
        return f"query service: {type(error).__name__}: {_shortened(str(error).splitlines()[0])}"
    if isinstance(error, DBAPIError):
        return f"online store: {_shortened(_innermost(error))}"
    if isinstance(error, ConnectionError):
        return f"no connection: {_shortened(str(error))}"
    return None


def is_access_denied(error: BaseException) -> bool:
    """Whether MySQL refused the password, as after a rotation."""
    original: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    arguments: tuple[object, ...] = getattr(original, "args", ())
    return arguments[:1] == (_ACCESS_DENIED,)


def _innermost(error: BaseException) -> str:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _shortened(text: str) -> str:
    line = redacted(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
