"""The program of the Ray job: runs the cycle of a request, in a trainer on the head of the job's Ray cluster.

    ray_cycle.py /hopsfs/Resources/retrainer/request.json

The result is written beside the request, as by `python -m trainer`, whose exit codes these are. This file is uploaded
alone, so it imports Retrainer as it is installed there.
"""

from __future__ import annotations

import runpy
import sys


def main() -> None:
    """Run the request that is named."""
    if len(sys.argv) != 2:
        sys.exit("start the job with one argument, the path of a request: /hopsfs/Resources/retrainer/request.json")
    runpy.run_module("trainer", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
