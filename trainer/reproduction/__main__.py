"""A process that trains a version again: `python -m trainer.reproduction`.

The request (`ReproductionRequest`, JSON) comes on standard input. To standard output go lines of progress, and at last
one line `{"reproduction": …}`, or `{"error": …, "claim_unknown": …}` with exit code 1.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from contextlib import suppress
from typing import IO

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # as the trainer has it: with more threads sums change
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import json

from schemas.cycle import Progress
from schemas.errors import RetrainerError
from schemas.jobs.reproduction import ReproductionRequest
from stores.files import keep_private
from trainer.errors import ClaimUnknown
from trainer.lock import only_trainer
from trainer.own_keras import load_keras
from trainer.process_end import run_to_end


def main() -> int:
    """Train again and compare; exit code 1 where that cannot be done."""
    keep_private()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints
    request = ReproductionRequest.model_validate_json(sys.stdin.read())
    load_keras()
    from stores.hopsworks.secrets import redacted
    from trainer.reproduction.run import reproduce, scratch_of

    def send(progress: Progress) -> None:
        _say(out, progress.model_dump_json())

    scratch = scratch_of(request.settings)
    try:
        with only_trainer(scratch, patience=0.0):
            try:
                found = reproduce(request, send)
            finally:
                for folder in ("spaces", "cycles"):
                    shutil.rmtree(scratch / folder, ignore_errors=True)
    except RetrainerError as error:
        _say(out, json.dumps({"error": str(error), "claim_unknown": isinstance(error, ClaimUnknown)}))
        return 1
    except Exception as error:  # noqa: BLE001  (the border of the process: every error becomes an answer)
        print(redacted(traceback.format_exc()), file=sys.stderr)
        _say(out, json.dumps({"error": redacted(f"{type(error).__name__}: {error}"), "claim_unknown": False}))
        return 1
    _say(out, json.dumps({"reproduction": found.model_dump(mode="json")}))
    return 0


def _say(out: IO[str], line: str) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more
        print(line, file=out, flush=True)


if __name__ == "__main__":
    run_to_end(main)
