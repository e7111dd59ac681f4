"""The trainer process: imports the slow libraries, warms up, waits for one request, runs it, and ends.

    python -m trainer [REQUEST.json]

Without an argument the process reads the path of the request from standard input, so that it can be started ahead of
time. Until one comes it warms up (`trainer.warm`). Progress goes to standard output, one JSON line each; the
result goes to `result.json` beside the request.

Exit codes: 0 a result was written, 1 the result says that the cycle failed, 75 a signal to stop ended the cycle.

With a request from standard input, the end of standard input ends the process: a trainer does not outlive its consumer.
Such a cycle asks before it registers, and waits for a line with the permit: a consumer that was stalled may have been
replaced in the meantime.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import IO

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # small steps: threads make them slower, and change sums
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from schemas.cycle import CycleRequest, CycleResult, Outcome, Progress
from schemas.engine import Device
from schemas.fault_points import Point, reached
from stores.files import keep_private
from trainer.device import settle
from trainer.lock import only_trainer
from trainer.own_keras import load_keras
from trainer.process_end import run_to_end

GIVEN_UP = 75  # EX_TEMPFAIL of sysexits.h: try again
READY, PERMIT = "ready", "permit"


def main() -> int:
    """Run one cycle and return the exit code."""
    keep_private()
    stopping, permit = threading.Event(), threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the consumer decides
    out = _own_stdout()
    load_keras()
    import trainer.run

    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        permit.set()
    else:
        if not _is_asked():  # a request that waits is not kept waiting for a toy
            _warm()
        print(READY, file=out, flush=True)
        line = sys.stdin.readline().strip()
        if not line or stopping.is_set():
            return 0
        path = Path(line)
        threading.Thread(target=_follow_stdin, args=(permit,), daemon=True).start()
    request = CycleRequest.model_validate_json(path.read_bytes())

    def send(progress: Progress) -> None:
        print(progress.model_dump_json(), file=out, flush=True)

    with only_trainer(request.settings.work_dir):
        result = trainer.run.run_cycle(request, send, stopping.is_set, permit.wait)
    if result is None:
        return GIVEN_UP
    reached(Point.ANSWERING)
    _write(path.with_name("result.json"), result)
    reached(Point.ANSWERED)
    return 1 if result.outcome is Outcome.FAILED else 0


def _own_stdout() -> IO[str]:
    """A stream to the real standard output; from now on, prints of libraries go to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


def _warm() -> None:
    """Warm up; where that fails the cycle is slower, or fails by itself and says why."""
    import trainer.warm

    try:
        settle(Device.AUTO)  # once TensorFlow has computed it can no longer be done; who wants no GPU hides it
        trainer.warm.warm_up()
    except Exception as error:  # noqa: BLE001  (a toy must not cost a cycle)
        print(f"not warmed up: {type(error).__name__}: {error}", file=sys.stderr)


def _is_asked() -> bool:
    """Whether a request, or the end of standard input, is there already."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _follow_stdin(permit: threading.Event) -> None:
    for line in sys.stdin:
        if line.strip() == PERMIT:
            permit.set()
    os._exit(GIVEN_UP)


def _write(path: Path, result: CycleResult) -> None:
    from stores.files import replacing

    with replacing(path) as file:
        file.write(result.model_dump_json().encode())


if __name__ == "__main__":
    run_to_end(main)
