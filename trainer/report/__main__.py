"""Draws the page of a cycle: `python -m trainer.report FOLDER`.

FOLDER holds the evidence; the page is put beside it. A process of its own, with little priority and a minute of time:
drawing takes a second or two, which nobody has to wait for, and its libraries go with it. Exit code 1 where there is no
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
    signal.alarm(_LONGEST)
    os.nice(_NICE)
    keep_private()
    from trainer.report.files import draw_page

    return 0 if draw_page(Path(sys.argv[1])) is not None else 1


if __name__ == "__main__":
    sys.exit(main())
