"""Commands as a person calls them, in this process: what they write, and how they end."""

from __future__ import annotations

import io
import sys
import threading
from dataclasses import dataclass
from unittest import mock

from retrainer.cli import main


@dataclass(frozen=True)
class Called:
    """How a call ended."""

    code: int
    out: str
    err: str


def call(*arguments: str, encoding: str = "utf-8") -> Called:
    """`retrainer` with these arguments, its output in a file of that encoding."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    raw = out.buffer, err.buffer
    hooks = mock.patch.multiple(sys, argv=["retrainer", *arguments], stdout=out, stderr=err, excepthook=sys.excepthook)
    with hooks, mock.patch.object(threading, "excepthook", threading.excepthook):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
        sys.stderr.flush()
        told, complained = (one.getvalue().decode(encoding) for one in raw)
    return Called(code if isinstance(code, int) else 0 if code is None else 1, told, complained)
