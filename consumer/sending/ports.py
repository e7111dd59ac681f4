"""What a courier carries from: a queue in the ledger that leads to one channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from consumer.errors import ConsumerError

Item = TypeVar("Item")


class NotSent(ConsumerError):  # noqa: N818  (a reason to wait)
    """A channel did not take something; `asked` is how many seconds it asks us to wait, where it does."""

    def __init__(self, message: str, asked: float | None = None) -> None:
        super().__init__(message)
        self.asked = asked


class Gone(NotSent):
    """The receiver wants no more."""


class Queue(Protocol[Item]):
    """What waits for one channel, and the way there. Only one thread uses it."""

    def waiting(self) -> Sequence[Item]:
        """The oldest that the channel does not have yet, in order, a portion of them."""

    def send(self, item: Item) -> None:
        """Send one and wait for the receipt.

        Raises:
            NotSent: there is no receipt; the channel may have it all the same.
        """

    def note_sent(self, item: Item) -> None:
        """Note that the channel has it."""

    def note_refused(self, item: Item, reason: str) -> None:
        """Note why the channel did not take it; it goes on waiting."""

    def give_up(self, before: float, reason: str) -> int:
        """Let the channel wait no longer for what is from before a time; gives how many there were."""

    def close(self) -> None:
        """Give back what is open; the next `send` opens it again."""

    def tell_sent(self, item: Item) -> None:
        """Log that the channel has it."""

    def tell_gone(self, reason: str) -> None:
        """Log that the receiver wants no more."""

    def tell_given_up(self, count: int, reason: str) -> None:
        """Log that so many were given up."""
