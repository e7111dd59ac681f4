"""A loopback address for each double: the SDK fixes some ports, so clusters side by side differ in the host."""

from __future__ import annotations

import socket

from tests.hopsworks_double.cluster import FLIGHT_PORT, MYSQL_PORT, REST_PORT

# Nobody serves here. It is bound while the address is taken, since others could share the query service's port.
_CLAIM_PORT = 5006
# How often this process had each: gRPC remembers the authority of a host, and the next cluster there has another.
_USED: dict[str, int] = {}


class Address:
    """The first of 127.0.0.2, 127.0.0.3, ... that this process had least often, with all ports free.

    Needs Linux, where all of 127.0.0.0/8 is.
    """

    def __init__(self) -> None:
        self._claim: socket.socket | None = None
        hosts = sorted(map("127.0.0.{}".format, range(2, 255)), key=lambda host: _USED.get(host, 0))
        self.host = next((host for host in hosts if self._take(host)), "")
        if not self.host:
            raise RuntimeError("no loopback address is free for a double of Hopsworks")
        _USED[self.host] = _USED.get(self.host, 0) + 1

    def claim(self) -> None:
        """Take the address again, after it was released."""
        if self._claim is None and not self._take(self.host):
            raise RuntimeError(f"{self.host} was taken by another while the double was stopped")

    def release(self) -> None:
        """Let others have it."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def __del__(self) -> None:
        self.release()

    def _take(self, host: str) -> bool:
        claim = _bound(host, _CLAIM_PORT)
        if claim is None:
            return False
        if not all(_is_free(host, port) for port in (FLIGHT_PORT, MYSQL_PORT, REST_PORT)):
            claim.close()
            return False
        self._claim = claim
        return True


def _is_free(host: str, port: int) -> bool:
    # Connections that just ended do not count, listeners do.
    bound = _bound(host, port, reuse=True)
    if bound is not None:
        bound.close()
    return bound is not None


def _bound(host: str, port: int, reuse: bool = False) -> socket.socket | None:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        return None
    return bound
