"""The process that exports a version; a model needs TensorFlow, and nobody who asks for one should have to load it.

    python -m trainer.export < REQUEST

The request (`ExportRequest`, JSON) comes on standard input. Standard output gets JSON, a line each: `{"step": …}` while
it works, and at its end `{"exported": …}`, with exit code 0, or `{"error": …}`, with exit code 1.
"""

from __future__ import annotations

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # little work: a GPU is the trainer's
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from schemas.errors import RetrainerError
from schemas.jobs.saved_model import ExportRequest
from stores.files import keep_private
from trainer.own_keras import load_keras
from trainer.process_end import run_to_end


def main() -> int:
    """Export one version and return the exit code."""
    keep_private()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints
    request = ExportRequest.model_validate_json(sys.stdin.read())

    def send(**line: object) -> None:
        print(json.dumps(line), file=out, flush=True)

    send(step="loading TensorFlow")
    load_keras()
    from trainer.export.export import export

    try:
        exported = export(request, lambda step: send(step=step))
    except (RetrainerError, OSError) as error:
        send(error=str(error))
        return 1
    send(exported=exported.model_dump(mode="json"))
    return 0


if __name__ == "__main__":
    run_to_end(main)
