"""Draws the page of a cycle: `python -m trainer.report [FOLDER]`.

FOLDER, which without an argument is read from standard input, holds the evidence; the page is put beside it. This is a
process of its own, with little priority and a minute of time: drawing takes a second or two, which nobody has to wait
for, and its libraries go with it. Exit code 1 where there is no evidence that can be read.
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
    os.nice(_NICE)
    keep_private()
    from trainer.report.files import draw_page

    folder = sys.argv[1] if len(sys.argv) > 1 else sys.stdin.readline().rstrip("\n")
    if not folder:
        return 0  # nobody wants a page any more
    signal.alarm(_LONGEST)
    return 0 if draw_page(Path(folder)) is not None else 1


if __name__ == "__main__":
    sys.exit(main())
