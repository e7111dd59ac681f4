"""The page that Prometheus scrapes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from consumer.ledger.ledger import Ledger
from consumer.listener.ledger_backoff import in_short
from consumer.memory import memory
from consumer.metrics import instance_metrics as of
from consumer.metrics.from_instance import tell_build, tell_memory, tell_status
from consumer.metrics.from_ledger import LedgerPart, Slow, slow, tell_slow
from consumer.metrics.readings import Readings, families_of
from consumer.metrics.refreshing import Refreshing
from consumer.settings import Settings
from consumer.status import Status
from consumer.trouble import Trouble
from schemas.log_events.service import METRICS_LACK_LEDGER, METRICS_READ_LEDGER

_PATIENCE = 2.0  # seconds: a scrape often ends after five
_YOUNG = 1.0
_SLOW_YOUNG = 60.0


class Metrics:
    """Every metric of the registry. `page` may be called from any thread.

    A ledger that does not answer within two seconds is left out: what the process knows by itself is served.

    Args:
        settings: which channels are set.
        ledger: what is on record, or a function that opens that, as often as it is asked.
        status: how the service is; None before it has told.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger | Callable[[], Ledger],
        status: Callable[[], Status | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._status = status
        self._clock = clock
        self._trouble = Trouble(METRICS_LACK_LEDGER, METRICS_READ_LEDGER, time.monotonic)
        opened = partial(_as_it_is, ledger) if isinstance(ledger, Ledger) else ledger
        self._ledger = Refreshing(LedgerPart(settings, opened, clock).read, _YOUNG, self._answered)
        self._slow: Refreshing[Slow] = Refreshing(lambda: slow(opened()), _SLOW_YOUNG)
        self._registry = CollectorRegistry()
        self._registry.register(_Families(self.families))
        ProcessCollector(registry=self._registry)

    def page(self, accept: str) -> tuple[bytes, str]:
        """The page, and its content type: OpenMetrics where `accept` asks for it, else Prometheus' own text."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def families(self) -> Iterator[Family]:
        """All metrics of ours that have a value now."""
        own = Readings()
        tell_build(own)
        tell_status(own, self._status(), self._clock())
        tell_memory(own, memory())
        found = self._ledger.now(_PATIENCE)
        own.put(of.LEDGER_UP, found is not None)
        if found is None:
            yield from families_of([own])
            return
        own.put(of.LEDGER_READ, found.took)
        slow_found = self._slow.latest(_PATIENCE / 4)
        parts = [own, found.value]
        if slow_found is not None:
            own.put(of.SLOW_AGE, max(0.0, time.monotonic() - slow_found.at))
            parts.append(rarely := Readings())
            tell_slow(rarely, slow_found.value)
        yield from families_of(parts)

    def _answered(self, error: Exception | None) -> None:
        if error is None:
            self._trouble.over()
        else:
            self._trouble.met(in_short(error))


def _as_it_is(ledger: Ledger) -> Ledger:
    return ledger


class _Families(Collector):
    """What the client library takes."""

    def __init__(self, families: Callable[[], Iterator[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        """See Collector."""
        return self._families()
