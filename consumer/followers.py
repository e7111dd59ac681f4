"""What follows the champion: threads that tell others of a promotion, and bring them what they serve from.

They run on the instance that holds the lease, and only there. Each compares what the ledger says with what it has done,
so a crash between a promotion and its news loses nothing.
"""

from __future__ import annotations

from typing import Protocol

from consumer.ledger.ledger import Ledger
from consumer.settings import Settings


class Follower(Protocol):
    """A thread that may be started and stopped any number of times. Its trouble is logged and tried again, for ever."""

    def start(self) -> None:
        """Follow from now on; does nothing where it runs already. Returns at once."""

    def stop(self) -> None:
        """Stop following; what is under way is given up within seconds."""


def followers_of(settings: Settings, ledger: Ledger) -> list[Follower]:
    """The followers that the settings ask for."""
    found: list[Follower] = []
    if settings.dead_letters.topic:
        from consumer.dead_letters.publisher import Publisher

        found.append(Publisher(settings.kafka, settings.dead_letters.topic, ledger.letters))
    if settings.reports.html and settings.reports.keep:
        from consumer.report_pages import PageDrawer

        found.append(PageDrawer(settings.reports_dir))
    return found
