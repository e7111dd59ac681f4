"""The services that work on this ledger. Each reports every few seconds how it is, so that any can ask for all."""

from __future__ import annotations

import socket
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, select

from consumer.database.dialect import ledger_time, upsert
from consumer.database.engine import reading
from consumer.database.tables import instances
from consumer.status import Status


@dataclass(frozen=True, slots=True)
class Instance:
    """One service as it reported last: its status by field."""

    id: str
    name: str
    """The service's name, for people."""
    state: dict[str, Any]
    seen_at: float
    """When it reported, by its own clock: for people."""
    beats: int
    """How often it has reported: a service is alive as long as this grows."""


class Instances:
    """The services of a ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def report(self, instance: str, status: Status, now: float, name: str = "") -> None:
        """Report how an instance is, by its id; `name` is for people."""
        own = {"host": socket.gethostname(), "pid": status.pid, "name": name or instance}
        values = {**own, "state": asdict(status), "seen_at": now, "heard_at": ledger_time()}
        with self._engine.begin() as connection:
            row = upsert(connection, instances).values(instance_id=instance, **values, beats=1)
            again = {**values, "beats": instances.c.beats + 1}
            connection.execute(row.on_conflict_do_update(index_elements=[instances.c.instance_id], set_=again))

    def leave(self, instance: str) -> None:
        """Note that an instance has ended in good order."""
        with self._engine.begin() as connection:
            connection.execute(delete(instances).where(instances.c.instance_id == instance))

    def forget(self, gone: Instance) -> None:
        """Forget an instance that is silent for good, unless it has reported since `gone` was read."""
        same = instances.c.instance_id == gone.id, instances.c.beats == gone.beats, instances.c.seen_at == gone.seen_at
        with self._engine.begin() as connection:
            connection.execute(delete(instances).where(*same))

    def all(self) -> list[Instance]:
        """All instances that have reported and were not forgotten, ordered by name."""
        return self._found()

    def seen_since(self, moment: float) -> list[Instance]:
        """Instances that have reported since a moment, each by its own clock."""
        return self._found(instances.c.seen_at >= moment)

    def heard_within(self, seconds: float) -> list[Instance]:
        """Instances that have reported within so many seconds by the ledger's clock; no other clock counts.

        Where that clock was set back, instances that have not reported since are left out: they may be dead.
        """
        return self._found(instances.c.heard_at.between(ledger_time() - seconds, ledger_time() + seconds))

    def _found(self, *which: ColumnElement[bool]) -> list[Instance]:
        of = instances.c
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(of.instance_id, of.name, of.state, of.seen_at, of.beats)
                .where(*which)
                .order_by(of.name, of.instance_id)
            )
            return [Instance(row.instance_id, row.name or row.instance_id, *row[2:]) for row in rows]
