"""Standard output and error, such that a command neither dies of what its terminal lacks nor of a reader who leaves."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from consumer.errors import ConsumerError
from consumer.plain import UNLESS_IT_HAS_IT, plain

_STDERR = 2


class OutputError(ConsumerError, OSError):
    """What was to be said could not be written."""


class Stream(io.TextIOWrapper):
    """A text stream on which nothing fails that is not the command's fault.

    A character that its encoding does not have is written as one that looks like it, or escaped. When its reader has
    gone (`| head -1`, a terminal that closes) the rest is dropped: the command goes on, and its exit code is its own.

    Raises:
        OutputError: it cannot be written for another reason, such as a full disk.
    """

    gone = False
    """Whether its reader has gone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._was_terminal = self.isatty()  # one that was closed does not say so any more

    def write(self, text: str) -> int:
        """Write; see the class."""
        try:
            return super().write(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def flush(self) -> None:
        """Flush; see the class."""
        try:
            super().flush()
        except OSError as error:
            self._failed(error)

    def give_up(self) -> None:
        """Drop what is still buffered, which would be tried again at the end of the process, and what comes."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)

    def _failed(self, error: OSError) -> None:
        closed = isinstance(error, BrokenPipeError) or (self._was_terminal and error.errno == errno.EIO)
        if not closed:
            raise OutputError(f"cannot write the output: {error.strerror or error}") from None
        self.gone = True
        self.give_up()


def take_over() -> None:
    """Make both of this process `Stream`s, and write uncaught errors without what could steer a terminal."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= _STDERR:  # a file that took such a number would be written to
        pass
    os.close(opened)
    sys.stdout, sys.stderr = _taken(sys.stdout), _taken(sys.stderr)
    sys.excepthook = _write_trace
    threading.excepthook = _write_trace_of_thread


def give_up_output() -> None:
    """Standard output cannot be written: nothing more is."""
    if isinstance(sys.stdout, Stream):
        sys.stdout.give_up()


def reader_gone() -> bool:
    """Whether nobody reads standard output any more."""
    return isinstance(sys.stdout, Stream) and sys.stdout.gone


def _taken(stream: Any) -> Any:
    """Those that are no files, as tests have them, stay as they are; one that was closed goes nowhere."""
    if stream is None:
        return Path(os.devnull).open("w")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    encoding, by_line, at_once = stream.encoding, stream.line_buffering, stream.write_through
    stream.flush()
    return Stream(stream.detach(), encoding, errors=UNLESS_IT_HAS_IT, line_buffering=by_line, write_through=at_once)


def _write_trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    text = plain("".join(traceback.format_exception(kind, error, trace)))
    if sys.stderr is not None:
        sys.stderr.write(text)


def _write_trace_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit or args.exc_value is None:
        return
    _write_trace(args.exc_type, args.exc_value, args.exc_traceback)
