"""Planted bug: offsets advance in a transaction of their own, before what they cover is stored."""

import sys

if any(argument.endswith("retrainer") for argument in sys.orig_argv):
    from consumer.ledger import batch as read
    from consumer.ledger import intake

    advance = intake._advance
    record = intake.Intake.record

    def record_late(self: intake.Intake, batch: read.Batch) -> None:
        with self._engine.begin() as connection:
            for partition, (expected, following) in batch.progress.items():
                advance(connection, batch, partition, expected, following)
        record(self, batch)

    intake._advance = lambda *_: None
    intake.Intake.record = record_late  # type: ignore[method-assign]
