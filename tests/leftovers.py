"""A run that is cut off leaves nothing behind: no broker, no database, no container, no mount, no temporary file.

A guard outlives the run. What the run starts inherits its mark in the environment, and what it keeps for itself lies in
one temporary folder; so the guard finds both when the run is gone, be it by SIGKILL. What is not a child of
the run, such as a container, is ended by a command that `at_the_end` leaves with the guard.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

MARK = "XDG_TEST_RUN"  # of a kind that our own processes pass on to theirs
"""The environment variable that everything of a run inherits."""

_LOOK_EVERY = 0.3
_ROUNDS = 20
_COMMAND = ".last.json"
_LAST_SECONDS = 120


@contextmanager
def guarded() -> Iterator[Path]:
    """Whatever the block starts ends with it, at the latest; gives the folder for temporary files, which goes too.

    Within a run that is guarded already, such as in a worker of it, that one's guard does it.
    """
    if MARK in os.environ:
        yield Path(tempfile.gettempdir())
        return
    before = {name: os.environ.get(name) for name in (MARK, "TMPDIR")}
    folder = Path(tempfile.mkdtemp(prefix="retrainer-tests-"))
    folder.chmod(0o711)  # PostgreSQL keeps its data there as another user
    mark = uuid4().hex
    guard = subprocess.Popen(
        [sys.executable, __file__, str(os.getpid()), mark, str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # the signals of a terminal are not for it
    )
    os.environ |= {MARK: mark, "TMPDIR": str(folder)}
    tempfile.tempdir = None
    try:
        yield folder
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        tempfile.tempdir = None
        guard.communicate()  # closes its input


def at_the_end(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Have the guard of this run, when that is gone, run a command before anything else; whether it fails is no matter.

    Raises:
        RuntimeError: the run has no guard.
    """
    if MARK not in os.environ:
        raise RuntimeError("only a run that is guarded can leave commands; see tests.leftovers.guarded")
    last = Path(tempfile.gettempdir(), f"{uuid4().hex}{_COMMAND}")
    last.touch(mode=0o600)
    last.write_text(json.dumps({"args": list(command), "env": dict(environment)}))


def marked(mark: str) -> list[psutil.Process]:
    """The processes that bear a mark; this one is none of them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def clear_up(mark: str, folder: Path) -> None:
    """Run the last commands, end what bears the mark, unmount what is mounted in the folder, and remove it."""
    for last in folder.glob(f"*{_COMMAND}"):
        with suppress(OSError, ValueError, subprocess.TimeoutExpired):
            subprocess.run(**json.loads(last.read_text()), check=False, timeout=_LAST_SECONDS)
    for _ in range(_ROUNDS):  # one that is being ended may have started another meanwhile
        found = marked(mark)
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        if not found:
            break
        psutil.wait_procs(found, timeout=1)
    mounts = [Path(part.mountpoint) for part in psutil.disk_partitions(all=True)]
    for mount in sorted((mount for mount in mounts if mount.is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _wait_for_the_end_of(run: int) -> None:
    """Its end of the pipe closes; but a child that it forked may hold that open."""
    while os.getppid() == run and not select.select([sys.stdin], [], [], _LOOK_EVERY)[0]:
        pass


if __name__ == "__main__":
    _wait_for_the_end_of(int(sys.argv[1]))
    clear_up(sys.argv[2], Path(sys.argv[3]))
