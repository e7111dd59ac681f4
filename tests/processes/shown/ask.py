"""What `retrainer` is for the shells of tests: asks the process that tests.processes.shown.forking describes.

Run without site packages, so that it begins in a hundredth of a second; it imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType


def main() -> int:
    """The exit code of the command, as a shell would say it."""
    came: list[int] = []

    def passed_on(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if child:
            os.kill(child, number)

    child = 0
    number: int
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, passed_on)
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(sys.argv[1])
        call = json.dumps(
            {"arguments": sys.argv[2:], "folder": str(Path.cwd()), "environment": dict(os.environ)}
        ).encode()
        socket.send_fds(asked, [len(call).to_bytes(4, "big")], [0, 1, 2])
        asked.sendall(call)
        with asked.makefile("r") as answers:
            child = int(answers.readline())
            for number in came:
                os.kill(child, number)
            code = int(answers.readline())
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
