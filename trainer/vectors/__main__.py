"""The process that computes vectors, beside a trainer, at low priority.

    python -m trainer.vectors

A `VectorsRequest` (JSON) comes on standard input, whose end ends the process: it does not outlive who started it. JSON
lines go to standard output: `{"done": …, "of": …}` while it works, and at the end `{"stamp": …}` or `{"error": …}`.
Exit code 1 after an error.
"""

from __future__ import annotations

import json
import os
import sys
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # little work: a GPU is the trainer's
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from schemas.errors import RetrainerError
from schemas.jobs.vectors import VectorsRequest
from stores.files import keep_private
from trainer.own_keras import load_keras
from trainer.process_end import run_to_end

_NICE = 10
_GIVEN_UP = 75


def main() -> int:
    """Answer one request; returns the exit code."""
    keep_private()
    os.nice(_NICE)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # prints of libraries

    def tell(**said: object) -> None:
        print(json.dumps(said), file=out, flush=True)

    request = VectorsRequest.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_follow_stdin, daemon=True).start()
    try:
        load_keras()
        from trainer.vectors.export import export

        stamp = export(request, lambda done, about: tell(done=done, of=about))
    except RetrainerError as error:
        tell(error=str(error))
        return 1
    except OSError as error:
        tell(error=f"{type(error).__name__}: {error}")
        return 1
    tell(stamp=stamp.model_dump(mode="json"))
    return 0


def _follow_stdin() -> None:
    sys.stdin.read()
    os._exit(_GIVEN_UP)


if __name__ == "__main__":
    run_to_end(main)
