"""A process of the trainer room that exports a version: the consumer loads no TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from consumer.environment import for_child
from consumer.errors import ConsumerError
from consumer.settings import Settings
from schemas.saved_model import Exported, ExportRequest


class ExportFailed(ConsumerError):  # noqa: N818
    """A version was not exported; the message says why."""


class ExportProcess:
    """`python -m trainer.export`, run to its end by one thread, perhaps killed by another.

    Args:
        settings: where registry and feature store are, and how long a trainer may take.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def run(self, request: ExportRequest, tell: Callable[[str], None]) -> Exported:
        """Export, and `tell` of each step.

        Raises:
            ExportFailed: nothing was exported.
            OSError: no process could be started.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer.export"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=for_child(
                os.environ, cluster=self._settings.hopsworks is not None, also=self._settings.trainer.environment
            ),
            start_new_session=True,  # Ctrl-C on a terminal is for the consumer
        )
        with self._lock:
            self._process = process
        timer = threading.Timer(self._settings.trainer.timeout, process.kill)
        timer.daemon = True
        timer.start()
        try:
            return self._outcome(process, request, tell)
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            with self._lock:
                self._process = None

    def kill(self) -> None:
        """End a process that another thread runs. What it was writing never becomes a version."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _outcome(self, process: subprocess.Popen[str], request: ExportRequest, tell: Callable[[str], None]) -> Exported:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(request.model_dump_json())
        with process.stdout as stdout:
            for line in stdout:
                said: dict[str, Any] = json.loads(line)
                if "exported" in said:
                    return Exported.model_validate(said["exported"])
                if "error" in said:
                    raise ExportFailed(said["error"])
                tell(said["step"])
        raise ExportFailed(f"the export of version {request.version} ended with code {process.wait()} and no word")
