"""The recorder: once a minute it notes in the ledger how the service is."""

from __future__ import annotations

from consumer.ledger.ledger import Ledger
from consumer.memory import memory
from schemas.watching.samples import SAMPLE_EVERY, Sample


class Recorder:
    """Notes a sample of each minute, as long as it is asked; for the instance that holds the lease.

    Args:
        ledger: where samples are kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._minute: int | None = None

    def tick(self, now: float, *, lag: int | None, training: bool) -> None:
        """Note how it is, if this minute has no sample of ours yet. What raises here is tried again by the next call.

        Args:
            now: seconds since the epoch.
            lag: events that are still to be read; None where that is not known.
            training: whether a cycle is under way.
        """
        minute = int(now // SAMPLE_EVERY)
        if minute == self._minute:
            return
        self._ledger.samples.write(self._sample(now, lag, training=training))
        self._minute = minute

    def _sample(self, now: float, lag: int | None, *, training: bool) -> Sample:
        waiting, used = self._ledger.unlearned.now(), memory()
        return Sample(
            at=now,
            lag=lag,
            pending_users=waiting.users,
            pending_labels=waiting.labels,
            oldest_pending_s=None if waiting.oldest is None else max(0.0, now - waiting.oldest),
            champion=self._ledger.views.history().champion,
            training=training,
            consumer_bytes=used.own if used else None,
            trainer_bytes=used.children if used else None,
            events=self._ledger.views.read().events,
        )
