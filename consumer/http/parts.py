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


def freshness_now(_settings: Settings, _ledger: Ledger, _now: float) -> dict[str, Any] | None:
    """Whether the freshness promise is kept; None where none is made."""
    return None
