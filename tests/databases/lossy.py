"""A way to a PostgreSQL on which the answer to one commit can be lost."""

from __future__ import annotations

import socket
from contextlib import closing
from select import select
from threading import Event, Thread

from sqlalchemy.engine import make_url

_COMMIT = b"COMMIT\x00"
_LONGEST = 65_536


class LossyWay:
    """Passes everything on, both ways; `url` is a ledger's address on this way."""

    def __init__(self, url: str) -> None:
        address = make_url(url)
        self._server = (str(address.host), int(address.port or 5432))
        self._listening = socket.create_server(("127.0.0.1", 0))
        here = address.set(port=self._listening.getsockname()[1])
        self.url = here.render_as_string(hide_password=False)
        self.lost = Event()
        self._statement = b""
        Thread(target=self._accept, daemon=True).start()

    def lose_commit_of(self, statement: str) -> None:
        """Cut the connection when the next transaction with this statement is committed, before its client hears it."""
        self.lost.clear()
        self._statement = statement.encode()

    def close(self) -> None:
        """Take on nobody any more."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with closing(client), closing(socket.create_connection(self._server)) as server:
                self._pass_on(client, server)
        except OSError:  # one of them is gone; that ends it for the other
            return

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        transaction = b""
        while True:
            readable, _, _ = select([client, server], [], [])
            if server in readable:
                answer = server.recv(_LONGEST)
                client.sendall(answer)
                if not answer:
                    return
            if client in readable:
                said = client.recv(_LONGEST)
                server.sendall(said)
                if not said:
                    return
                transaction += said
                if _COMMIT in said:
                    if self._statement and self._statement in transaction:
                        server.recv(_LONGEST)  # so it is done
                        self._statement = b""
                        self.lost.set()
                        return
                    transaction = b""
