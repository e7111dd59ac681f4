"""What other rooms contribute to what is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from consumer.status import Status


class MetricsPage(Protocol):
    """The metrics; safe to ask from any thread."""

    def page(self, accept: str) -> tuple[bytes, str]:
        """The page in a form that the client accepts, and its content type."""


def metrics_page(settings: Settings, ledger: Callable[[], Ledger], status: Callable[[], Status | None]) -> MetricsPage:
    """The metrics of this service; `ledger` opens it, which may fail for a while."""
    from consumer.metrics.collector import Metrics

    return Metrics(settings, ledger, status)


def samples_of(ledger: Ledger, since: float, now: float, points: int) -> list[dict[str, Any]]:
    """The samples from `since` to `now`, oldest first, at most `points`; none in a build that keeps none."""
    kept = getattr(ledger, "samples", None)
    return [] if kept is None else [one.model_dump(mode="json") for one in kept.read(since, now, points)]
