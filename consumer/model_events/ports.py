"""A channel for model events: what a topic and a webhook have in common."""

from __future__ import annotations

from typing import Protocol

from consumer.errors import ConsumerError
from consumer.ledger.outbox import Channel
from schemas.model_events import ModelEvent


class NotSent(ConsumerError):  # noqa: N818  (a reason to wait)
    """A channel did not take an event; `asked` is how many seconds it asks us to wait, where it does."""

    def __init__(self, message: str, asked: float | None = None) -> None:
        super().__init__(message)
        self.asked = asked


class Gone(NotSent):
    """The receiver wants no more events."""


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
