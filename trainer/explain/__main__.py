"""Answers about one user in a process of its own: models and matrices take memory that ends with it.

    python -m trainer.explain

The request (`ExplainRequest`, JSON) comes on standard input; one JSON object goes to standard output: an
`Explanation`, or `{"error": …}`. Exit codes: 0 there is an answer, 1 the answer is an error.
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
from schemas.jobs.explanation import ExplainRequest
from trainer.own_keras import load_keras
from trainer.process_end import run_to_end


def main() -> int:
    """Answer one request, and return the exit code."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints
    load_keras()
    from trainer.explain.answer import explain

    request = ExplainRequest.model_validate_json(sys.stdin.read())
    try:
        answer = explain(request).model_dump_json()
    except RetrainerError as error:
        print(json.dumps({"error": str(error)}), file=out, flush=True)
        return 1
    print(answer, file=out, flush=True)
    return 0


if __name__ == "__main__":
    run_to_end(main)
