"""A row of the outbox becomes a CloudEvent. The same row gives the same bytes each time, on every instance."""

from __future__ import annotations

from datetime import UTC, datetime

from consumer.ledger.outbox import Waiting
from consumer.settings import Settings
from schemas.cycle import LocalRegistry
from schemas.model_events import ModelEvent, ModelEventData, ModelFiles
from schemas.watching.traces import traceparent_of

_DIGITS = 12  # of a sequence number: they are compared as texts


class Envelope:
    """Adds what the ledger does not know: whose event it is, the model's name, and where its files lie."""

    def __init__(self, settings: Settings, ledger_id: str) -> None:
        self._settings = settings
        self._source = f"/retrainer/{ledger_id}"

    @property
    def model_name(self) -> str:
        """The name of the model: the key of its events on the topic."""
        return self._settings.model_name

    def event(self, waiting: Waiting) -> ModelEvent:
        """The event as it is sent."""
        version = waiting.facts.version
        files = None if version is None else self._files(version)
        return ModelEvent(
            id=waiting.event_id,
            source=self._source,
            type=waiting.type,
            subject=self.model_name if version is None else f"{self.model_name}/{version}",
            time=datetime.fromtimestamp(waiting.at, UTC),
            sequence=str(waiting.number).zfill(_DIGITS),
            traceparent=self._traceparent(waiting),
            data=ModelEventData(**dict(waiting.facts), model_name=self.model_name, files=files),
        )

    def _traceparent(self, waiting: Waiting) -> str | None:
        cycle_id, by_person = waiting.facts.cycle_id, waiting.facts.by is not None
        return traceparent_of(cycle_id) if self._settings.tracing.wanted and cycle_id and not by_person else None

    def _files(self, version: int) -> ModelFiles:
        registry, cluster = self._settings.model_registry, self._settings.hopsworks
        if isinstance(registry, LocalRegistry):
            return ModelFiles(registry="local", path=str(registry.path.absolute() / self.model_name / str(version)))
        assert cluster is not None
        path = f"/Projects/{cluster.project}/Models/{self.model_name}/{version}/Files"
        return ModelFiles(registry="hopsworks", path=path)
