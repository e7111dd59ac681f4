"""The lease that lets one of several instances run cycles, with a fencing token that every write of a cycle checks.

A holder renews its lease. A candidate watches it by a clock of its own: a lease that was not renewed for long enough
may be taken, so the clocks of two machines are never compared. Tokens only grow. A holder that was asleep and wakes
finds that its token is not the last one, and its writes are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Engine, select, update

from consumer.database.dialect import upsert
from consumer.database.engine import reading
from consumer.database.tables import leases
from consumer.errors import LeaseLost

CYCLES = "cycles"
FREE = ""
"""The holder of a lease that was given back."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The holder of the lease, the token, and how often the lease was renewed since."""

    holder: str
    """The id of an instance."""
    token: int
    renewals: int
    name: str = field(default="", compare=False)
    """The holder's name, for people."""

    @property
    def in_words(self) -> str:
        """The holder, for people."""
        return self.name or self.holder or "nobody"


class Leases:
    """The one lease there is, for running cycles. A candidate decides when the lease may be taken from its holder."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def current(self) -> Lease | None:
        """The lease as it is; None where no instance ever took it."""
        with reading(self._engine) as connection:
            return _current(connection)

    def take(self, holder: str, seen: Lease | None, now: float, name: str = "") -> Lease | None:
        """Become holder with the next token, if the lease is still as it was `seen`; None where another was faster.

        Args:
            holder: the id of the instance that takes the lease.
            seen: what `current` said.
            now: seconds since the epoch, for people who look and for the first token.
            name: the holder's name, for people.
        """
        with self._engine.begin() as connection:
            if _current(connection) != seen:
                return None
            # At least the time, so that the tokens of a recreated ledger outrank those that a registry remembers.
            taken = Lease(holder, max(seen.token + 1 if seen else 1, int(now)), 0, name)
            lease = {"holder": taken.holder, "token": taken.token, "renewals": taken.renewals}
            values = {**lease, "renewed_at": now, "holder_name": name}
            row = upsert(connection, leases).values(name=CYCLES, **values)
            connection.execute(row.on_conflict_do_update(index_elements=[leases.c.name], set_=values))
        return taken

    def renew(self, lease: Lease, now: float) -> Lease:
        """Show that the holder lives.

        Raises:
            LeaseLost: another instance has the lease, or it was given back.
        """
        with self._engine.begin() as connection:
            renewed = update(leases).where(*_is(lease)).values(renewals=leases.c.renewals + 1, renewed_at=now)
            connection.execute(renewed)
            found = _current(connection)
            if found is None or (found.holder, found.token) != (lease.holder, lease.token):
                raise LeaseLost(_lost(lease.token, found))
        return found

    def release(self, lease: Lease, now: float) -> None:
        """Give the lease back, so that no other has to wait. The token stays. A lost lease is no error."""
        with self._engine.begin() as connection:
            connection.execute(update(leases).where(*_is(lease)).values(holder=FREE, holder_name="", renewed_at=now))


def check_fence(connection: Connection, fence: int) -> None:
    """Refuse a write in this transaction, unless `fence` is the token of the lease as it is held now.

    Such a write counts as a renewal: a long write holds the lock of all writers, so that the holder cannot renew
    meanwhile, and a candidate must not take the lease over.

    Raises:
        LeaseLost: the lease is not held with this token.
    """
    found = _current(connection)
    if found is None or found.token != fence or found.holder == FREE:
        raise LeaseLost(_lost(fence, found))
    connection.execute(update(leases).where(*_is(found)).values(renewals=leases.c.renewals + 1))


def _current(connection: Connection) -> Lease | None:
    row = connection.execute(
        select(leases.c.holder, leases.c.token, leases.c.renewals, leases.c.holder_name).where(leases.c.name == CYCLES)
    ).one_or_none()
    return None if row is None else Lease(row.holder, row.token, row.renewals, row.holder_name or "")


def _is(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return leases.c.name == CYCLES, leases.c.token == lease.token


def _lost(token: int, found: Lease | None) -> str:
    now = "nobody ever took it" if found is None else f"'{found.in_words}' has it with token {found.token}"
    return f"the lease for running cycles is not held with token {token} any more: {now}; take it again to go on"
