"""The session with a cluster: one login a process, renewed when it is refused; repeatable requests are retried."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from schemas.hopsworks import Hopsworks
from stores.errors import ClusterUnreachable, Unauthorized
from stores.hopsworks import sdk
from stores.hopsworks.failures import as_store_error
from stores.hopsworks.private_folder import PrivateFolder
from stores.hopsworks.secrets import api_key

T = TypeVar("T")

_LONGEST_WAIT = 10.0

_one = threading.RLock()  # the SDK keeps one client, one engine and one connection a process
_open: Session | None = None


def session_with(cluster: Hopsworks) -> Session:
    """The process's session with a cluster; the first call logs in.

    Raises:
        ClusterError: the cluster cannot be reached, or refuses the key or the project.
    """
    global _open
    with _one:
        if _open is None or _open.cluster != cluster:
            end_session()
            _open = Session(cluster)
        return _open


def end_session() -> None:
    """Log out, if there is a session, and remove its certificates."""
    global _open
    with _one:
        if _open is not None:
            _open.close()
            _open = None


class Session:
    """A login. `project`, and objects made from it, stay usable after a renewal; `generation` counts the logins.

    `session_with` makes it, so that a process has one.
    """

    def __init__(self, cluster: Hopsworks) -> None:
        self.cluster = cluster
        self.generation = 0
        self._folder = PrivateFolder("hopsworks")
        self._project: Any = None
        self._alive = False
        self.ask(f"log in to {cluster.host}:{cluster.port}", self._login, renew=False)

    @property
    def project(self) -> Any:
        """The SDK's project."""
        return self._project

    def ask(self, what: str, call: Callable[[], T], *, renew: bool = True) -> T:
        """Do something that is safe to repeat: it is tried again while the cluster does not answer.

        Args:
            what: names the request in messages.
            call: the request or requests; what they print is swallowed.
            renew: whether to log in again, once, when the key or a password is refused.

        Raises:
            ClusterError: the request failed for `retry_for` seconds, or was refused.
        """
        renewed = not renew

        def attempt() -> T:
            nonlocal renewed
            if renew and not self._alive:  # a renewal failed, and the SDK is unusable since
                self.renew()
            try:
                return self.once(what, call)
            except Unauthorized:
                if renewed:
                    raise
                self.renew()
                renewed = True  # only now, so that a renewal that met a busy cluster is tried again, too
                return self.once(what, call)

        retrying = Retrying(
            retry=retry_if_exception_type(ClusterUnreachable),
            wait=wait_exponential_jitter(multiplier=0.2, max=_LONGEST_WAIT, jitter=0.2),
            stop=stop_after_delay(self.cluster.retry_for),
            reraise=True,
        )
        return retrying(attempt)

    def once(self, what: str, call: Callable[[], T]) -> T:
        """Do something that is not safe to repeat.

        Raises:
            ClusterError: the request failed. The caller has to find out whether it had an effect.
        """
        try:
            with sdk.quiet():
                return call()
        except Exception as error:  # noqa: BLE001  (the SDK raises anything; from here on errors are ours)
            raise as_store_error(what, error) from None  # the original holds URLs, bodies and, at times, passwords

    def renew(self) -> None:
        """Log in again, with the key as it is now.

        Raises:
            ClusterError: the login failed; the old login is gone by then.
        """
        self.once(f"log in again to {self.cluster.host}:{self.cluster.port}", self._login)

    def close(self) -> None:
        """Log out. Closing twice is fine."""
        if self._project is not None:
            self._project = None
            sdk.logout()
        self._folder.remove()

    def _login(self) -> None:
        cluster = self.cluster
        with _one:
            self._alive = False
            self._project = sdk.login(
                host=cluster.host,
                port=cluster.port,
                project=cluster.project,
                key=api_key(cluster),
                verify=cluster.verify,
                ca=str(cluster.ca_file) if cluster.ca_file else None,
                certs=str(self._folder.path),
                timeout=cluster.request_timeout,
            )
            self.generation += 1
            self._alive = True


atexit.register(end_session)
