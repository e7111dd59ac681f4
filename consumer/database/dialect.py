"""The few words that SQLite and PostgreSQL do not share. Every other statement of the ledger is the same on both."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Dialect, Float, String, Table, TypeDecorator
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement, ReturnTypeFromArgs

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upsert(connection: Connection, table: Table) -> sqlite.Insert:
    """An insert that can say what becomes of an existing row; both engines have the same words for that."""
    return upsert_in(connection.dialect.name, table)


def upsert_in(engine: str, table: Table) -> sqlite.Insert:
    """The same for an engine by its name."""
    insert: sqlite.Insert = _INSERTS[engine](table)
    return insert


def by_position(engine: str) -> Dialect:
    """The dialect in which statements are written for a driver that takes plain values, by position."""
    return _BY_POSITION[engine]


_BY_POSITION: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(),  # type: ignore[no-untyped-call]
    # By format it takes rows, and not dictionaries.
    "postgresql": postgresql.psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
}


class least(ReturnTypeFromArgs[Any]):  # noqa: N801  (a function of SQL)
    """The smallest of several values, none of them NULL."""

    name = "least"
    inherit_cache = True


class greatest(ReturnTypeFromArgs[Any]):  # noqa: N801
    """The greatest of several values, none of them NULL."""

    name = "greatest"
    inherit_cache = True


@compiles(least, "sqlite")
def _min(element: Any, compiler: Any, **options: Any) -> str:
    return f"min({compiler.process(element.clauses, **options)})"


@compiles(greatest, "sqlite")
def _max(element: Any, compiler: Any, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


class ledger_time(FunctionElement[float]):  # noqa: N801
    """Seconds since the epoch by the clock of the ledger: one clock for all its users."""

    type = Float()
    inherit_cache = True


@compiles(ledger_time, "postgresql")
def _clock_of_server(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::float8"


@compiles(ledger_time, "sqlite")
def _clock_of_machine(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def storable(text: str) -> str:
    """Any text in a form that both engines take: neither stores half a surrogate pair, PostgreSQL no NUL either."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


class FreeText(TypeDecorator[str]):
    """A column of text from outside, which may be anything: see `storable`."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """What is stored."""
        return None if value is None else storable(value)
