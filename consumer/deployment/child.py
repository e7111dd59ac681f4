"""A process of another room that works for minutes and says lines of JSON; another thread may kill it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

from consumer.environment import for_child
from consumer.settings import Settings


class Child:
    """Runs one process at a time.

    Args:
        settings: says what of our environment a process gets.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self.code: int | None = None
        """How the last process ended; None where it still runs, or was killed before its end."""

    def lines(self, arguments: Sequence[str], given: str, within: float) -> Generator[dict[str, Any]]:
        """Run `python -m` with these arguments, and `given` on standard input; gives each line that it says.

        The process is killed when the iterator is closed, or after `within` seconds.

        Raises:
            OSError: no process could be started.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
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
            self._process, self.code = process, None
        timer = threading.Timer(within, process.kill)
        timer.daemon = True
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(given)
            with process.stdout as stdout:
                for line in stdout:
                    with suppress(ValueError):  # half a line of a process that was killed
                        yield json.loads(line)
            self.code = process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            with self._lock:
                self._process = None

    def kill(self) -> None:
        """End the process that another thread runs, if there is one."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
