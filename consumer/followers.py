"""What follows the champion: threads that tell others of a promotion, and bring them what they serve from.

They run on the instance that holds the lease, and only there. Each compares what the ledger says with what it has done,
so a crash between a promotion and its news loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from consumer.cycles.champion_mirror import ChampionMirror
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from consumer.trouble import Trouble
from schemas.log_events.deployment import (
    DEPLOYMENT_TROUBLE,
    DEPLOYMENT_WORKS,
    EXPORT_TROUBLE,
    EXPORT_WORKS,
)


class Follower(Protocol):
    """A thread that may be started and stopped any number of times. Its trouble is logged and tried again, for ever."""

    def start(self) -> None:
        """Follow from now on; does nothing where it runs already. Returns at once."""

    def stop(self) -> None:
        """Stop following; what is under way is given up within seconds."""


def followers_of(settings: Settings, ledger: Ledger) -> list[Follower]:
    """The followers that the settings ask for."""
    return [
        ChampionMirror(settings, ledger),
        *_of_dead_letters(settings, ledger),
        *_of_model_events(settings, ledger),
        *_of_notifications(settings, ledger),
        *_of_retention(settings, ledger),
        *_of_deployment(settings, ledger),
        *_of_vectors(settings, ledger),
        *_of_reports(settings),
        *_of_traces(settings, ledger),
    ]


# Each imports what it needs only where that is wanted: the service stays small.


def _of_dead_letters(settings: Settings, ledger: Ledger) -> Iterator[Follower]:
    if settings.dead_letters.topic:
        from consumer.dead_letters.publisher import Publisher

        yield Publisher(settings.kafka, settings.dead_letters.topic, ledger.letters)


def _of_model_events(settings: Settings, ledger: Ledger) -> Iterator[Follower]:
    from consumer.model_events.followers import followers

    yield from followers(settings, ledger)


def _of_notifications(settings: Settings, ledger: Ledger) -> Iterator[Follower]:
    if settings.notifications.wanted or settings.notifications.heartbeat is not None:
        from consumer.notifications.followers import followers

        yield from followers(settings, ledger)


def _of_retention(settings: Settings, ledger: Ledger) -> Iterator[Follower]:
    if settings.model_registry.keep is not None:
        from consumer.cycles.pruner import Pruner
        from consumer.cycles.version_needs import needs_of

        yield Pruner(settings, ledger, needs_of(settings))


def _of_deployment(settings: Settings, ledger: Ledger) -> Iterator[Follower]:
    if settings.export.out is not None:
        from consumer.deployment.champion_follower import ChampionFollower
        from consumer.deployment.exporting import Exporter

        trouble = Trouble(EXPORT_TROUBLE, EXPORT_WORKS, time.monotonic)
        yield ChampionFollower(ledger, Exporter(settings, settings.export.out), trouble)
    if settings.deployment is not None:
        from consumer.deployment.champion_follower import ChampionFollower
        from consumer.deployment.deploying import Deployer

        trouble = Trouble(DEPLOYMENT_TROUBLE, DEPLOYMENT_WORKS, time.monotonic)
        yield ChampionFollower(ledger, Deployer(settings, settings.deployment), trouble)


def _of_vectors(settings: Settings, ledger: Ledger) -> Iterator[Follower]:
    if settings.vectors.wanted:
        from consumer.vectors.follower import VectorsFollower

        yield VectorsFollower(settings, ledger.cycles.base, ledger.cycles.is_any_running)


def _of_reports(settings: Settings) -> Iterator[Follower]:
    if settings.reports.html and settings.reports.keep:
        from consumer.report_pages import PageDrawer

        yield PageDrawer(settings.reports_dir)


def _of_traces(settings: Settings, ledger: Ledger) -> Iterator[Follower]:
    if settings.tracing.wanted:
        from consumer.tracing.follower import teller

        yield teller(settings, ledger)


@runtime_checkable
class Speaks(Protocol):
    """A follower that has something to say in the status."""

    @property
    def name(self) -> str:
        """What it brings where."""

    @property
    def words(self) -> str:
        """What is there now, or why it is not."""


def words_of(followers: Iterable[Follower]) -> dict[str, str] | None:
    """What followers say, by name; None where none has anything to say."""
    return {one.name: one.words for one in followers if isinstance(one, Speaks)} or None
