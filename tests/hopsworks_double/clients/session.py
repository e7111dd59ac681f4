"""What tests share that speak with a running double: the settings that find it, patient for seconds, not minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.hopsworks import Hopsworks
from stores.hopsworks.session import Session, end_session, session_with
from tests.hopsworks_double import HopsworksDouble


def cluster_of(double: HopsworksDouble, *, request_timeout: float = 2.0, retry_for: float = 3.0) -> Hopsworks:
    """The settings that find a double, with its certificates checked."""
    return Hopsworks(
        host=double.host,
        port=double.port,
        project=double.project,
        api_key_file=double.api_key_file,
        ca_file=double.ca_file,
        request_timeout=request_timeout,
        retry_for=retry_for,
    )


@contextmanager
def session_of(double: HopsworksDouble, *, request_timeout: float = 2.0, retry_for: float = 3.0) -> Iterator[Session]:
    """The process's session, with a double. It is ended after that, and the next one logs in again."""
    try:
        yield session_with(cluster_of(double, request_timeout=request_timeout, retry_for=retry_for))
    finally:
        end_session()
