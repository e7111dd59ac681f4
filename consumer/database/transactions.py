"""What holds in each transaction on PostgreSQL: how long it waits, that a commit is durable, where the tables are.

The settings are made at the beginning of every transaction, and for that transaction alone. Options of a connection do
not always hold: PgBouncer refuses or drops them, and a role or a database may have others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from consumer.errors import SettingsError

BUSY_SECONDS = 5.0
"""Shorter than any poll interval, so that a held lock cannot keep the listener from polling."""

_LOCK = "SELECT pg_advisory_xact_lock(1919247457, coalesce(hashtext(current_schema()), 0))"  # b"rtra" as a number
_SETTINGS = {
    "synchronous_commit": "on",  # a commit survives a crash, whatever the server's default
    "lock_timeout": f"{BUSY_SECONDS:g}s",
    "statement_timeout": "120s",  # the longest, a claim of millions of users, takes less
    "idle_in_transaction_session_timeout": "10s",  # a writer that stalls loses its transaction, and with it the lock
    # The same for a writer whose machine is gone: the server notices by its silence.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
}
_NAME = re.compile(r"[a-z_][a-z0-9_.]*")


def beginning(options: str, *, writes: bool) -> str:
    """The statements that a transaction begins with; the first gives the session's process id.

    They are several, which no driver prepares: a prepared statement belongs to one session, and these check whether the
    session is another.

    Args:
        options: those of the ledger's address, as in `-csearch_path=retrainer`; they outrank ours.
        writes: whether the transaction takes the lock of writers. That comes last: then the transaction sees what all
            writers before it have committed.
    """
    wanted = {**_SETTINGS, **parsed(options)}
    # Not `SET LOCAL`: it takes a list, such as `search_path`, for a single name.
    settings = ", ".join(f"set_config({_quoted(name)}, {_quoted(value)}, true)" for name, value in wanted.items())
    return "; ".join(["SELECT pg_backend_pid()", f"SELECT {settings}", *([_LOCK] if writes else [])])


def parsed(options: str) -> Mapping[str, str]:
    """The settings that an address names in its `options`, by name.

    Raises:
        SettingsError: the options hold something else.
    """
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", options)]
    found: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = f"-c{words.pop(0)}"
        name, is_there, value = word.removeprefix("--").removeprefix("-c").partition("=")
        name = name.replace("-", "_").lower()
        if not word.startswith(("-c", "--")) or not is_there or not _NAME.fullmatch(name):
            raise SettingsError(
                f"RETRAINER_LEDGER__URL: options hold {word!r}; what they may hold is settings of PostgreSQL, "
                "as in ?options=-csearch_path%3Dretrainer"
            )
        found[name] = value
    return found


def _quoted(text: str) -> str:
    """A literal that means the same under any `standard_conforming_strings`."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in text else f"'{escaped}'"
