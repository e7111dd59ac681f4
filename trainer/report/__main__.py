"""Draws the page of a cycle: `python -m trainer.report [FOLDER]`.

FOLDER, which without an argument is read from standard input, holds the evidence; the page is put beside it. This is a
process of its own, with a minute of time, so that its libraries go with it. A trainer that names the folder on standard
input waits for the page; nobody else does, and then the process takes little priority. Exit code 1 where there is no
evidence that can be read.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from stores.files import keep_private

_LONGEST = 60  # seconds
_NICE = 10


def main() -> int:
    """Draw one page and return the exit code."""
    waited_for = len(sys.argv) == 1
    if not waited_for:
        os.nice(_NICE)
    keep_private()
    from trainer.report.files import draw_page

    folder = sys.stdin.readline().rstrip("\n") if waited_for else sys.argv[1]
    if not folder:
        return 0  # nobody wants a page any more
    signal.alarm(_LONGEST)
    return 0 if draw_page(Path(folder)) is not None else 1


if __name__ == "__main__":
    sys.exit(main())
