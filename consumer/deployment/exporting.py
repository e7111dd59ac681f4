"""Brings the champion into a folder that TensorFlow Serving watches, as the highest version there."""

from __future__ import annotations

from pathlib import Path

import structlog

from consumer.deployment.champion_follower import NotBrought
from consumer.deployment.export_process import ExportFailed, ExportProcess
from consumer.settings import Settings
from schemas.jobs.saved_model import ExportRequest, folder_of, versions_in
from schemas.log_events.deployment import EXPORTED

log = structlog.get_logger()


class Exporter:
    """A `Carrier` (`consumer.deployment.champion_follower`).

    Args:
        settings: those of the service.
        out: the folder; RETRAINER_EXPORT__OUT.
    """

    def __init__(self, settings: Settings, out: Path) -> None:
        self._settings = settings
        self._out = out
        self._process = ExportProcess(settings)

    @property
    def name(self) -> str:
        """See Carrier."""
        return "export"

    def there(self) -> int | None:
        """See Carrier: the version that TensorFlow Serving takes."""
        return max(versions_in(self._out, self._settings.model_name), default=0)

    def bring(self, version: int) -> str:
        """See Carrier."""
        request = ExportRequest(
            settings=self._settings.for_trainer(),
            version=version,
            out=self._out.absolute(),
            highest=True,
            keep=self._settings.export.keep,
        )
        try:
            exported = self._process.run(request, lambda _step: None)
        except ExportFailed as error:
            raise NotBrought(str(error), again=True) from None
        folder = folder_of(self._out, exported.model_name, version)
        log.info(EXPORTED, version=version, folder=str(folder), warm_up_rows=exported.warm_up_rows)
        return f"version {version} is in {folder}"

    def give_up(self) -> None:
        """See Carrier."""
        self._process.kill()
