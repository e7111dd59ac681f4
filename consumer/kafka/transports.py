"""Connections of kafka-python, with what they lack where a broker refuses.

Version 3.0 of kafka-python, as it is,

- waits without end for a TLS handshake, whatever `bootstrap_timeout_ms` says;
- throws away what a broker said right before it closed the connection, such as why it refuses a password;
- leaves the socket of a connection that was refused, or whose handshake failed, to the garbage collector.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from traceback import clear_frames
from typing import Any

from kafka.errors import KafkaConnectionError
from kafka.net.inet import create_connection
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport


async def open_transport(net: Any, node: Any, config: Mapping[str, Any], timeout_at: float | None, *, tls: bool) -> Any:
    """A connection to a broker, after its handshake.

    Args:
        net: the loop that the client's thread runs.
        node: the broker, with `host` and `port`.
        config: the client's options.
        timeout_at: when to give up, by the loop's clock.
        tls: whether to speak TLS.

    Raises:
        KafkaConnectionError: there is none; no socket stays open.
    """
    try:
        held: Any = await create_connection(
            net,
            node.host,
            node.port,
            config["socket_options"],
            proxy_url=config["proxy_url"],
            timeout_at=timeout_at,
        )
    except KafkaConnectionError as error:
        _let_go(error)
        raise
    try:
        if not tls:
            return _Tcp(net, held, host=node.host)
        options = {name: value for name, value in config.items() if name.startswith("ssl_")}
        transport = held = _Tls(net, held, host=node.host, **options)
        await transport.shake_hands(timeout_at)
    except BaseException as error:
        held.close()
        if isinstance(error, Exception):
            raise KafkaConnectionError(f"TLS handshake failed: {error}") from error
        raise
    else:
        return transport


def _let_go(error: BaseException | None) -> None:
    """Empty the frames that an error came through: they hold the refused socket, and in a circle the error."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__context__


class _LastWords:
    """Hands on the bytes that came before the end of a connection; the next read meets the end again."""

    def _sock_recv(self) -> tuple[bytes, BaseException | None]:
        received, error = super()._sock_recv()  # type: ignore[misc]
        return received, None if received else error


class _Tcp(_LastWords, KafkaTCPTransport):  # type: ignore[misc]
    pass


class _Tls(_LastWords, KafkaSSLTransport):  # type: ignore[misc]
    async def shake_hands(self, timeout_at: float | None) -> None:
        while True:
            try:
                self._sock.do_handshake()
            except ssl.SSLWantReadError:
                await self._net.wait_read(self._sock, timeout_at)
            except ssl.SSLWantWriteError:
                await self._net.wait_write(self._sock, timeout_at)
            else:
                return
