"""The folder a demo keeps everything in, emptied at the start of each."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrainer.demo.errors import DemoUsageError
from schemas.private import private_folder

MARKER = ".retrainer-demo"
"""A folder that holds this file is a demo's own and may be emptied by the next."""


@contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """Hold an empty folder that no other demo uses at the same time. What is in it at the end stays.

    Raises:
        DemoUsageError: the folder holds something that no demo has left there, or a demo that is running.
    """
    marker = folder / MARKER
    if folder.exists() and not folder.is_dir():
        raise DemoUsageError(f"{folder} is not a folder")
    if folder.is_dir() and not marker.exists() and any(folder.iterdir()):
        raise DemoUsageError(f"{folder} holds files that are not a demo's; name another folder with --state")
    folder.parent.mkdir(parents=True, exist_ok=True)
    private_folder(folder)
    with marker.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoUsageError(f"another demo is running in {folder}") from None
        lock.write("Made by retrainer demo, which empties this folder when it is started again.\n")
        lock.flush()
        _empty(folder, keep=marker)
        yield folder


def _empty(folder: Path, keep: Path) -> None:
    for entry in folder.iterdir():
        if entry == keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
