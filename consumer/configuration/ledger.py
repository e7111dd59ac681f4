"""Settings of the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from consumer.configuration.section import Section


class LedgerSettings(Section):
    """Where the ledger lies: `sqlite:///` and a file, or `postgresql://user@host/database` for several instances."""

    url: Annotated[str, Field(repr=False, examples=["postgresql://user@host/database"])]
    """Address of the ledger; if not set, the SQLite file `ledger.db` in the state folder."""
    password: SecretStr | None = None
    """The password of a PostgreSQL address that names none."""
    remember: bool = True
    """Whether the ledger notes for each user which version has learned the last change, about 200 bytes each. Going
    back to an earlier version needs it, and a full retrain from a cluster whose copy lags."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            address = make_url(url)
        except (ArgumentError, ValueError):
            raise ValueError("is no address; sqlite:///file or postgresql://user@host/database") from None
        if address.drivername not in {"sqlite", "postgresql", "postgresql+psycopg"}:
            raise ValueError("a ledger lies in sqlite:///file or in postgresql://user@host/database")
        if "password" in address.query:
            raise ValueError("a password stands before the @, or in RETRAINER_LEDGER__PASSWORD_FILE")
        return _file_of(address) if address.drivername == "sqlite" else url

    @model_validator(mode="after")
    def _has_its_password(self) -> Self:
        if self.password is not None:
            address = make_url(self.url).set(password=self.password.get_secret_value())
            object.__setattr__(self, "url", address.render_as_string(hide_password=False))
        return self


def _file_of(address: URL) -> str:
    """The address of a database in a file, which may lie in somebody's home folder."""
    file = address.database or ""
    if address.host or address.username or address.password:
        raise ValueError("an address of SQLite has three slashes before the file, four where its path is absolute")
    in_memory = ":memory:" in file or address.query.get("mode") == "memory" or address.query.get("vfs") == "memdb"
    if in_memory or file in {"", "file:"}:
        raise ValueError("a ledger in memory forgets at every restart what is pending; name a file: sqlite:///file")
    if file.startswith("~"):
        try:
            address = address.set(database=str(Path(file).expanduser()))
        except RuntimeError:
            raise ValueError(f"nobody knows the home folder that {file} begins with; write the whole path") from None
    return address.render_as_string(hide_password=False)
