"""One benchmark in a process of its own, so that no memory and no thread pool carries over from the one before.

    python -m benchmarks.child MODULE:FUNCTION OUTCOME.json [--quick] [--lastfm LOG]

writes `{"rows": [...]}`, or `{"absent": reason}` where something it needs is not there. Anything else that it raises
ends it as any Python program.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # as in a trainer; the notebook is no slower by it
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import tensorflow  # noqa: F401  (as in a trainer, where mining may multiply with it)

from benchmarks.cases import CASES
from benchmarks.rows import NotMeasured, Setup
from schemas.engine import Device
from trainer.device import settle


def main() -> int:
    """Run the benchmark named on the command line."""
    for name in [name for name in os.environ if name.startswith("RETRAINER_")]:
        del os.environ[name]  # a benchmark says itself what it is run with, whatever this shell is set up for
    parser = argparse.ArgumentParser()
    parser.add_argument("function")
    parser.add_argument("outcome", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--lastfm", type=Path)
    asked = parser.parse_args()
    settle(Device.CPU)  # what measures a GPU asks for it
    case = next(case for case in CASES if case.function == asked.function)
    with TemporaryDirectory(prefix="retrainer-bench-") as folder:
        setup = Setup(quick=asked.quick, folder=Path(folder), lastfm=asked.lastfm)
        try:
            outcome: dict[str, object] = {"rows": [row.as_dict() for row in case.run(setup)]}
        except NotMeasured as why:
            outcome = {"absent": str(why)}
    asked.outcome.write_text(json.dumps(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
