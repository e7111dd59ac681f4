"""A PgBouncer from the binary of this machine, before a PostgreSQL of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy.engine import make_url

from tests.brokers.apache_kafka import free_port
from tests.databases.postgresql import PostgreSQL
from tests.waiting import wait_until

USER = "pooled"


def missing() -> str | None:
    """What this machine lacks to run PgBouncer; None if nothing."""
    return None if _binary() is not None else "pgbouncer not found in PATH, /usr/sbin or PGBOUNCER"


@contextmanager
def pgbouncer(server: PostgreSQL, pool_mode: str, *, more: str = "") -> Iterator[str]:
    """The address of a ledger behind one, in schema `public` of a database of its own; `more` are lines of its file."""
    front, database, binary = free_port(), f"behind_{pool_mode}_{free_port()}", _binary()
    assert binary is not None
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [USER]).fetchone():
            connection.execute(f"CREATE ROLE {USER} LOGIN SUPERUSER PASSWORD '{USER}'".encode())
    behind = make_url(server.url())
    with TemporaryDirectory(prefix="pgbouncer-") as name:
        folder = Path(name)
        (folder / "users").write_text(f'"{USER}" "{USER}"\n')
        (folder / "ini").write_text(f"""
[databases]
{database} = host={behind.host} port={behind.port} dbname={database} user={USER} password={USER}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {front}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {pool_mode}
logfile = {folder}/log
{more}
""")
        user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
        if user:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user)
        process = subprocess.Popen([binary, "-q", str(folder / "ini")], user=user, stderr=subprocess.DEVNULL)
        address = f"postgresql://{USER}@127.0.0.1:{front}/{database}"

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                psycopg.connect(address, autocommit=True).close()
            except psycopg.OperationalError:
                return False
            return True

        try:
            wait_until(answers, 20, "PgBouncer to answer")
            yield address
        finally:
            process.terminate()
            process.wait(20)


def _binary() -> str | None:
    return os.environ.get("PGBOUNCER") or shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
