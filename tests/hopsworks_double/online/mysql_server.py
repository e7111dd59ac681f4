"""The online store in SQL: MySQL's protocol over the online table, with arrays as the Avro bytes that are stored."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from tests.hopsworks_double.cluster import MYSQL_PORT, Cluster
from tests.hopsworks_double.faults import Drop, LoseReply, Status
from tests.hopsworks_double.online import mysql_protocol as protocol
from tests.hopsworks_double.online import sql
from tests.hopsworks_double.rows.conditions import UnsupportedError
from tests.hopsworks_double.rows.held import HeldGroup
from tests.hopsworks_double.rows.tables import Stored, Values

ACCESS_DENIED = 1045
NO_SUCH_TABLE = 1146
SYNTAX_ERROR = 1064
UNKNOWN_COMMAND = 1047

_WITHOUT_ROWS = re.compile(r"(set|begin|commit|rollback|start)\b", re.IGNORECASE)
_SYSTEM_VARIABLE = re.compile(r"select\s+@@([\w.]+)", re.IGNORECASE)
_SYSTEM_VARIABLES = {
    "transaction_isolation": "READ-COMMITTED",
    "tx_isolation": "READ-COMMITTED",
    "version": "8.0.34",
    "lower_case_table_names": "0",
    "sql_mode": "",
}


class MysqlServer:
    """The server, which may be stopped and started again."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.queries: list[str] = []
        self.crashes: list[str] = []
        self._listener: _Listener | None = None

    def start(self) -> None:
        """Listen, if it does not yet."""
        if self._listener is None:
            self._listener = _Listener((self.cluster.host, MYSQL_PORT), self)
            threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be gone, with all connections."""
        if self._listener is not None:
            self.cluster.faults.release("mysql")
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.hang_up()
            self._listener = None

    def cut(self) -> None:
        """Close the connections that are open."""
        if self._listener is not None:
            self._listener.hang_up()


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], served: MysqlServer) -> None:
        self.served = served
        self.open: set[socket.socket] = set()
        super().__init__(address, _Session)

    def hang_up(self) -> None:
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, *_: Any) -> None:
        self.served.crashes.append(f"MySQL: {traceback.format_exc()}")


class _Session(socketserver.BaseRequestHandler):
    server: _Listener

    def handle(self) -> None:
        self._cluster = self.server.served.cluster
        self._packets = protocol.Packets(self.request)
        self.server.open.add(self.request)
        try:
            if self._admitted():
                while self._command():
                    self._packets.flush()
        except (EOFError, OSError):
            return  # the client left, or the test cut the line
        finally:
            self.server.open.discard(self.request)

    def _admitted(self) -> bool:
        salt = protocol.salt()
        self._packets.greeting(threading.get_native_id(), salt)
        self._packets.flush()
        user, proof = protocol.login(self._packets.read())
        outcome = self._cluster.faults.strike("mysql", f"CONNECT {user}")
        if isinstance(outcome, Drop | LoseReply):
            return False
        welcome = user == self._cluster.online_user and proof == protocol.proof(self._cluster.online_password, salt)
        if isinstance(outcome, Status):
            self._packets.error(outcome.code, outcome.message)
        elif welcome:
            self._packets.ok()
        else:
            self._packets.error(ACCESS_DENIED, f"Access denied for user '{user}'", "28000")
        self._packets.flush()
        return welcome and outcome is None

    def _command(self) -> bool:
        """Serve one command; False when the connection is to be closed."""
        packet = self._packets.read()
        if packet[0] == protocol.QUIT:
            return False
        if packet[0] == protocol.QUERY:
            return self._query(packet[1:].decode())
        if packet[0] in (protocol.PING, protocol.INIT_DB):
            self._packets.ok()
        else:
            self._packets.error(UNKNOWN_COMMAND, f"unknown command {packet[0]}")
        return True

    def _query(self, text: str) -> bool:
        self.server.served.queries.append(text)
        outcome = self._cluster.faults.strike("mysql", text)
        match outcome:
            case Drop() | LoseReply():
                return False
            case Status(code=code, message=message):
                self._packets.error(code, message)
                return True
        if _WITHOUT_ROWS.match(text.strip()):
            self._packets.ok()
        elif not self._about_the_server(text.strip()):
            self._rows(text)
        return True

    def _about_the_server(self, text: str) -> bool:
        lowered = text.lower()
        if variable := _SYSTEM_VARIABLE.match(text):
            value = _SYSTEM_VARIABLES.get(variable[1].split(".")[-1], "")
            self._packets.result([f"@@{variable[1]}"], [[value.encode()]])
        elif lowered.startswith("select database()"):
            self._packets.result(["DATABASE()"], [[self._cluster.spec.project.encode()]])
        elif lowered.startswith("select version()"):
            self._packets.result(["VERSION()"], [[b"8.0.34"]])
        elif re.fullmatch(r"select 1;?", lowered):
            self._packets.result(["1"], [[b"1"]])
        elif lowered.startswith("show variables like 'lower_case_table_names'"):
            self._packets.result(["Variable_name", "Value"], [[b"lower_case_table_names", b"0"]])
        else:
            return False
        return True

    def _rows(self, text: str) -> None:
        try:
            select = sql.parse(text, {key for group in self._cluster.groups for key in group.keys})
        except UnsupportedError as error:
            self._packets.error(SYNTAX_ERROR, f"You have an error in your SQL syntax near {error}", "42000")
            return
        group = next((one for one in self._cluster.groups if one.table == select.table and one.online), None)
        if group is None:
            self._packets.error(NO_SUCH_TABLE, f"Table '{select.table}' doesn't exist", "42S02")
            return
        rows = group.online_rows(select.condition)[: select.limit]
        names = [name for _, name in select.columns]
        kinds = {name: group.kinds[column] for column, name in select.columns}
        self._packets.result(names, _cells(group, [column for column, _ in select.columns], rows), kinds)


def _cells(group: HeldGroup, columns: list[str], rows: list[tuple[str, Stored]]) -> Iterator[list[bytes | None]]:
    for key, row in rows:
        ends = group.ends(key)
        yield [ends[name].encode() if name in ends else _cell(group, name, row[name]) for name in columns]


def _cell(group: HeldGroup, name: str, values: Values | None) -> bytes | None:
    if values is None or group.kinds[name] == "array":
        return group.codec.cell(values)
    return str(group.shown(name, values)).encode()
