"""Planted bug: a cycle that settles takes the labels with it that came while it ran."""

import sys

if any(argument.endswith("retrainer") for argument in sys.orig_argv):
    from sqlalchemy import Connection, delete

    from consumer.database.tables import label_changes
    from consumer.ledger import ending

    settle = ending.settle_changes  # type: ignore[attr-defined]

    def settle_too_much(connection: Connection, cycle_id: str, now: float, *, remember: bool) -> None:
        settle(connection, cycle_id, now, remember=remember)
        connection.execute(delete(label_changes))

    ending.settle_changes = settle_too_much  # type: ignore[attr-defined]
