"""A channel for model events: what a topic and a webhook have in common."""

from __future__ import annotations

from typing import Protocol

from consumer.ledger.outbox import Channel
from schemas.model_events import ModelEvent


class Sender(Protocol):
    """One channel. Only one thread uses it."""

    @property
    def channel(self) -> Channel:
        """Which."""

    def send(self, event: ModelEvent) -> None:
        """Send an event and wait for the receipt.

        Raises:
            NotSent: there is no receipt; the event may have arrived all the same.
        """

    def close(self) -> None:
        """Give back what is open; the next `send` opens it again."""
