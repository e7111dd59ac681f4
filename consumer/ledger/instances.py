"""The services that work on this ledger. Each says every few seconds how it is, so that one may ask for all of them."""

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
    """One service, as it last said: its status by field."""

    id: str
    name: str
    """What people know it by."""
    state: dict[str, Any]
    seen_at: float
    """When it spoke, by its own clock: for people."""
    beats: int
    """How often it has spoken. Whoever wants to know whether it is there watches whether this grows."""


class Instances:
    """Who is there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def report(self, instance: str, status: Status, now: float, name: str = "") -> None:
        """Say how an instance is, by its id; `name` is what people know it by."""
        own = {"host": socket.gethostname(), "pid": status.pid, "name": name or instance}
        values = {**own, "state": asdict(status), "seen_at": now, "heard_at": ledger_time()}
        with self._engine.begin() as connection:
            row = upsert(connection, instances).values(instance_id=instance, **values, beats=1)
            again = {**values, "beats": instances.c.beats + 1}
            connection.execute(row.on_conflict_do_update(index_elements=[instances.c.instance_id], set_=again))

    def leave(self, instance: str) -> None:
        """Say that an instance has ended in good order."""
        with self._engine.begin() as connection:
            connection.execute(delete(instances).where(instances.c.instance_id == instance))

    def forget(self, gone: Instance) -> None:
        """Forget one that is silent for good; not one that has spoken since it was read."""
        same = instances.c.instance_id == gone.id, instances.c.beats == gone.beats, instances.c.seen_at == gone.seen_at
        with self._engine.begin() as connection:
            connection.execute(delete(instances).where(*same))

    def all(self) -> list[Instance]:
        """Whoever has reported and was not forgotten, by name."""
        return self._found()

    def seen_since(self, moment: float) -> list[Instance]:
        """Who has reported since then, each by its own clock."""
        return self._found(instances.c.seen_at >= moment)

    def heard_within(self, seconds: float) -> list[Instance]:
        """Who has reported in so many seconds, by the clock of the ledger; of those who ask or report none counts.

        Where that clock was set back, whoever has not reported since is left out, for all that it may be dead.
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
