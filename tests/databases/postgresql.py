"""A PostgreSQL from the binaries of this machine, in a folder of its own, for as long as the tests need it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psycopg

from tests.brokers.apache_kafka import free_port
from tests.waiting import wait_until

PASSWORD = "a p@ssword/of %the: tests"  # noqa: S105  (with everything in it that an address has to escape)

_PATIENT = "%20-cidle_in_transaction_session_timeout%3D5min"
"""A process of a test that gets no time on a busy machine does not stall."""

_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB", "max_connections=60")


def missing() -> str | None:
    """What this machine lacks to run PostgreSQL; None if nothing."""
    return None if _binaries() is not None else "initdb not found in PATH or /usr/lib/postgresql"


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A server of its own, for as long as the block runs."""
    with TemporaryDirectory(prefix="pg-") as folder:
        server = PostgreSQL(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


class PostgreSQL:
    """One server. It may be stopped, killed and started again, at the same address and with its data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = 0
        # PostgreSQL refuses to run as root.
        self._user = next((name for name in ("postgres", "nobody") if _exists(name)), None) if _is_root() else None
        if self._user:
            shutil.chown(folder, self._user)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        initdb = ["-D", str(folder / "data"), "-U", "retrainer", "--auth=scram-sha-256", f"--pwfile={secret}"]
        made = self._run("initdb", *initdb, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", stdout=subprocess.PIPE)
        out = made.communicate(timeout=60)[0]
        assert made.returncode == 0, out.decode()

    def url(self, schema: str = "public") -> str:
        """The address of a schema."""
        search = "" if schema == "public" else f"?options=-csearch_path%3D{schema}{_PATIENT}"
        return f"postgresql://retrainer:{quote(PASSWORD, safe='')}@127.0.0.1:{self._port}/postgres{search}"

    def new_schema(self) -> str:
        """The address of a schema that nobody has used."""
        self._schemas += 1
        name = f"s{self._schemas}"
        with self.connect() as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return self.url(name)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the tests' own; each statement is a transaction."""
        return psycopg.connect(self.url(), autocommit=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        address = ("listen_addresses=127.0.0.1", f"port={self._port}", f"unix_socket_directories={self._folder}")
        with (self._folder / "server.log").open("ab") as log:
            options = [part for setting in (*_QUICK, *address) for part in ("-c", setting)]
            self._process = self._run("postgres", "-D", str(self._folder / "data"), *options, stdout=log)
        wait_until(self._answers, 30, f"PostgreSQL at port {self._port} to answer; see {self._folder / 'server.log'}")

    @contextmanager
    def speaking_tls(self, certificate: str, key: str) -> Iterator[None]:
        """Have it offer TLS while the block runs; connections that are open stay as they are."""
        for name, held in (("server.crt", certificate), ("server.key", key)):
            file = self._folder / "data" / name
            file.unlink(missing_ok=True)
            file.touch(mode=0o600)
            file.write_text(held)
            if self._user:
                shutil.chown(file, self._user)
        self._speak_tls("on")
        try:
            yield
        finally:
            self._speak_tls("off")

    def _speak_tls(self, said: str) -> None:
        with self.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET ssl = {said}".encode())
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self._tls() == said, 10, f"PostgreSQL to have turned TLS {said}")

    def _tls(self) -> str:
        with self.connect() as connection:
            found = connection.execute("SHOW ssl").fetchone()
        return str(found[0]) if found else ""

    def stop(self) -> None:
        """Stop it at once, but in good order; connections end."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill it as a machine that dies does."""
        self._end(signal.SIGQUIT)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"PostgreSQL ended: {(self._folder / 'server.log').read_text()[-2000:]}")
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str, stdout: Any) -> subprocess.Popen[bytes]:
        binaries = _binaries()
        assert binaries is not None
        command = [str(binaries / program), *arguments]
        return subprocess.Popen(command, user=self._user, cwd="/", stdout=stdout, stderr=subprocess.STDOUT)


def _binaries() -> Path | None:
    """Where the programs of the newest server are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = found[-1] if found else shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _is_root() -> bool:
    return os.geteuid() == 0


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
