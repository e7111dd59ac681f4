"""Processes that the demo starts, and stops whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from retrainer.demo.errors import DemoError

STOP_SECONDS = 20.0
"""How long a child may take to end by itself; a service that is training ends its trainer first."""


class Child:
    """A process in a session of its own, so that Ctrl-C reaches the demo alone and the demo stops it in order.

    As a context manager it is stopped on the way out, also on an exception.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = subprocess.DEVNULL,
        stderr: int | IO[bytes] | None = subprocess.DEVNULL,
    ) -> None:
        self.name = name
        try:
            self.process = subprocess.Popen(
                list(command),
                env=env,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise DemoError(f"cannot start the {name}: {error}") from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def ended(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.process.poll()

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to end, wait, and insist where it does not. Returns its exit status; stopping twice is fine.

        A second Ctrl-C ends the wait.
        """
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):  # what was not read is nobody's business any more
                self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._kill()
            except KeyboardInterrupt:
                self._kill()
                raise
        return self.process.wait()

    def _kill(self) -> None:
        """The whole session, so that a trainer does not outlive the service it worked for."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for a person who wants to know why; empty where there is none."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
