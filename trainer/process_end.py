"""The end of a process that has loaded TensorFlow."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn


def run_to_end(main: Callable[[], int]) -> NoReturn:
    """Run `main`, and end the process with the code it gives.

    What Python does at its end, to take TensorFlow's modules apart, costs one to four seconds, and whoever started the
    process waits for them. It is left out; exit handlers run, and what was printed is written. Where `main` raises,
    Python ends as it always does.
    """
    code = main()
    atexit._run_exitfuncs()  # noqa: SLF001  (Python has no public name for it)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody listens any more
            stream.flush()
    os._exit(code)
