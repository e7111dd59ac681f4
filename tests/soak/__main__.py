"""`python -m tests.soak`: what `make soak` runs."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.soak.run import run


def main() -> None:
    """Run, judge, draw; exit code 1 where something is not flat."""
    told = argparse.ArgumentParser(prog="make soak", description=__doc__)
    told.add_argument("--minutes", type=float, default=120.0, help="how long, from the first version on")
    told.add_argument("--folder", type=Path, default=None, help="where the run keeps what it finds; must not exist")
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))  # so that nothing is left running
    asked = told.parse_args()
    folder = asked.folder or Path("var/soak") / time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    run(folder.absolute(), asked.minutes, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
