"""The services that work on this ledger. Each says every few seconds how it is, so that one may ask for all of them."""

from __future__ import annotations

import socket
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, delete, select

from consumer.ledger.dialect import upsert
from consumer.ledger.engine import reading
from consumer.ledger.tables import instances
from consumer.status import Status

_FORGOTTEN_AFTER = 86_400.0


@dataclass(frozen=True, slots=True)
class Instance:
    """One service, as it last said: its status by field."""

    name: str
    state: dict[str, Any]
    seen_at: float


class Instances:
    """Who is there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def report(self, name: str, status: Status, now: float) -> None:
        """Say how an instance is."""
        values = {"host": socket.gethostname(), "pid": status.pid, "state": asdict(status), "seen_at": now}
        with self._engine.begin() as connection:
            row = upsert(connection, instances).values(instance_id=name, **values)
            connection.execute(row.on_conflict_do_update(index_elements=[instances.c.instance_id], set_=values))
            connection.execute(delete(instances).where(instances.c.seen_at < now - _FORGOTTEN_AFTER))

    def leave(self, name: str) -> None:
        """Say that an instance has ended in good order."""
        with self._engine.begin() as connection:
            connection.execute(delete(instances).where(instances.c.instance_id == name))

    def seen_since(self, moment: float) -> list[Instance]:
        """Who has reported since then, by name."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(instances.c.instance_id, instances.c.state, instances.c.seen_at)
                .where(instances.c.seen_at >= moment)
                .order_by(instances.c.instance_id)
            )
            return [Instance(*row) for row in rows]
