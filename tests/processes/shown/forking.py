"""Calls of `retrainer` that begin at once: each is a fork of one process that has imported all commands.

To start Python and import what a command needs takes one to three seconds of a core, most commands a tenth of that, and
the documents show more than a hundred. A fork is a process of its own all the same, with the folder, environment and
files of whoever calls, and it ends as a command does. Signals that the caller is sent are passed on. That a command
really starts is shown by the tests of the tutorial and of services.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from retrainer import cli
from retrainer.demo.plan import inherited
from tests.processes.shown import ask
from tests.unit.project.code import ROOT

_READY = "ready"


@contextmanager
def forking(folder: Path) -> Iterator[str]:
    """The line of a shell that calls `retrainer` so, while the block lasts."""
    address = folder / "retrainer.socket"
    command = [sys.executable, "-m", "tests.processes.shown.forking", str(address)]
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment = inherited(os.environ, {"PYTHONPATH": str(ROOT), **one_thread})
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().strip() == _READY
            yield f'{sys.executable} -I -S {ask.__file__} {address} "$@"'
        finally:
            process.kill()


def main(address: str) -> None:
    """Import the commands, and be one of them whenever somebody asks."""
    for named in cli.COMMANDS.values():
        import_module(named.split(":")[0])
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208  (names are not wanted)
    if threads > 1 or "tensorflow" in sys.modules:
        raise RuntimeError(f"a fork needs a process of one thread and without TensorFlow, and this has {threads}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who attend to the calls
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print(_READY, flush=True)
        while True:
            asked, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return _attend(asked)
            asked.close()


def _attend(asked: socket.socket) -> None:
    """Become the command, in a child, and say of that its number and how it ended."""
    with asked:
        length, files, _flags, _address = socket.recv_fds(asked, 4, 3)
        with asked.makefile("rb") as rest:
            call = json.loads(rest.read(int.from_bytes(length, "big")))
        command = os.fork()
        if command:
            for file in (0, 1, 2, *files):
                os.close(file)  # a reader waits until nobody can write any more
            asked.sendall(f"{command}\n".encode())
            _, status = os.waitpid(command, 0)
            asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    # The streams of before remember what kind of file they had.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv = ["retrainer", *call["arguments"]]
    cli.main()


if __name__ == "__main__":
    main(sys.argv[1])
