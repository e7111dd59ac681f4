"""A process of the trainer room that exports a version: the consumer loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from consumer.deployment.child import Child
from consumer.errors import ConsumerError
from consumer.settings import Settings
from schemas.jobs.saved_model import Exported, ExportRequest


class ExportFailed(ConsumerError):  # noqa: N818
    """A version was not exported; the message says why."""


class ExportProcess:
    """`python -m trainer.export`, run to its end by one thread, perhaps killed by another.

    Args:
        settings: say how long a trainer may take.
    """

    def __init__(self, settings: Settings) -> None:
        self._child = Child(settings)
        self._within = settings.trainer.timeout

    def run(self, request: ExportRequest, tell: Callable[[str], None]) -> Exported:
        """Export, and `tell` of each step.

        Raises:
            ExportFailed: nothing was exported.
            OSError: no process could be started.
        """
        with closing(self._child.lines(["trainer.export"], request.model_dump_json(), self._within)) as lines:
            for said in lines:
                if "exported" in said:
                    return Exported.model_validate(said["exported"])
                if "error" in said:
                    raise ExportFailed(said["error"])
                tell(said["step"])
        raise ExportFailed(f"the export of version {request.version} ended with code {self._child.code} and no word")

    def kill(self) -> None:
        """End a process that another thread runs. What it was writing never becomes a version."""
        self._child.kill()
