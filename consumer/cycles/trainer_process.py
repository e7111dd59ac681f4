"""One trainer process: started ahead of time, given one request, listened to, and stopped if need be.

A trainer is a fresh interpreter, not a fork, so nothing of the consumer is in it. Its standard input is its lifeline:
when this process is gone, for whatever reason, the pipe closes and the trainer ends itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

import structlog
from pydantic import ValidationError

from consumer.cycles.lifecycle.events import TrainerEnded
from consumer.environment import for_child
from schemas.cycle import CycleRequest, CycleResult, Outcome, Progress
from schemas.fault_points import Point, reached
from schemas.log_events.cycles import TRAINER_FAILED, TRAINER_SAYS, TRAINER_SAYS_TOO_MUCH
from schemas.private import private_file, private_folder

log = structlog.get_logger()

_LAST_WORDS = 40
_CHATTER = re.compile(r"I\d{4} |WARNING: All log messages before absl")  # of TensorFlow, about this machine
_MOST_LINES = 1000  # of a trainer that are logged
_LONGEST_LINE = 4000  # bytes; what is longer becomes several lines
REQUEST_FILE, RESULT_FILE = "request.json", "result.json"
_PERMIT = b"permit\n"


class TrainerProcess:
    """A trainer, warm from its start.

    Args:
        spoke: called, from another thread, when the trainer has reported or ended.
        environment: the whole environment of the trainer; None for what every child of ours gets.
    """

    def __init__(self, spoke: Callable[[], None], environment: Mapping[str, str] | None = None) -> None:
        self._spoke = spoke
        self._given = False
        self._cycle_id: str | None = None
        self._progress: SimpleQueue[Progress] = SimpleQueue()
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trainer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=for_child(os.environ) if environment is None else environment,
            start_new_session=True,  # Ctrl-C on a terminal is for the consumer, which stops its trainer in good order
        )
        self._readers = [
            threading.Thread(target=self._read_progress, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_last_words, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def give(self, folder: Path, request: CycleRequest) -> None:
        """Have the trainer run a cycle; request and result lie in `folder`."""
        private_folder(folder)
        (folder / RESULT_FILE).unlink(missing_ok=True)
        path = private_file(folder / REQUEST_FILE)
        path.write_text(request.model_dump_json())
        self._given = True
        self._cycle_id = None if request.only_probe else request.cycle_id
        reached(Point.REQUESTED)
        self._say(f"{path}\n".encode())

    def permit(self) -> None:
        """Permit the trainer to register, which it waits for."""
        self._say(_PERMIT)

    def progress(self) -> list[Progress]:
        """What the trainer has reported since this was last called."""
        found: list[Progress] = []
        while True:
            try:
                found.append(self._progress.get_nowait())
            except Empty:
                return found

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the trainer runs. With a code, all its reports are read."""
        code = self._process.poll()
        if code is not None:
            for reader in self._readers:
                reader.join(timeout=5)
        return code

    def last_words(self) -> str:
        """The end of what the trainer wrote to standard error."""
        return "\n".join(self._last_words)

    def stop(self, grace: float) -> None:
        """Ask the trainer to end, and kill it after `grace` seconds; a trainer without a request is killed at once."""
        if not self._given:
            self.kill()
        elif self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=grace)
            except subprocess.TimeoutExpired:
                self.kill()
        self._close()

    def kill(self) -> None:
        """End the trainer at once."""
        self._process.kill()
        self._process.wait()

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the trainer is gone, and `exit_code` will say so
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _close(self) -> None:
        for reader in self._readers:
            reader.join(timeout=5)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _read_progress(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                try:
                    self._progress.put(Progress.model_validate_json(line))
                except ValidationError:
                    continue  # the line "ready", which nobody needs
                self._spoke()
        self._spoke()

    def _read_last_words(self, stream: IO[bytes]) -> None:
        with stream:
            for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), 1):
                self._last_words.append(said := line.decode(errors="replace").rstrip())
                if number == _MOST_LINES + 1:
                    log.warning(TRAINER_SAYS_TOO_MUCH, cycle_id=self._cycle_id, pid=self.pid, lines=_MOST_LINES)
                elif said and number <= _MOST_LINES:
                    say = log.debug if _CHATTER.match(said) else log.info
                    say(TRAINER_SAYS, cycle_id=self._cycle_id, pid=self.pid, line=said)


def result_in(folder: Path) -> CycleResult | None:
    """The result that a trainer left in `folder`; None where the file is missing or not whole."""
    try:
        return CycleResult.model_validate_json((folder / RESULT_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def trainer_ended(trainer: TrainerProcess, code: int, cycle_id: str, folder: Path) -> TrainerEnded:
    """How a trainer that ended with `code` left its cycle, whose files lie in `folder`; a failure is logged."""
    result, words = result_in(folder), trainer.last_words()
    if result is None:
        reason = ": ".join([f"the trainer ended with code {code} and no result", *words.splitlines()[-1:]])
        log.error(TRAINER_FAILED, cycle_id=cycle_id, reason=reason, last_words=words)
        return TrainerEnded(None, reason)
    if result.outcome is Outcome.FAILED and not result.not_registered:
        log.error(TRAINER_FAILED, cycle_id=cycle_id, reason=result.reason)
    return TrainerEnded(result, result.reason)
