"""A folder for certificates and keys that other users cannot read, removed soon after its process ends.

A killed process cannot clean up, so the next process does: it removes every folder whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_LOCK = ".lock"


class PrivateFolder:
    """`path` is there, empty and with mode 0700, until `remove`."""

    def __init__(self, name: str) -> None:
        parent = Path(tempfile.gettempdir()) / f"retrainer-{name}-{os.getuid()}"
        parent.mkdir(mode=0o700, exist_ok=True)
        _own(parent)
        with (parent / _LOCK).open("w") as sweeping:
            fcntl.flock(sweeping, fcntl.LOCK_EX)
            _sweep(parent)
            self._root = Path(tempfile.mkdtemp(dir=parent))
            self._lock = (self._root / _LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = self._root / "files"
        self.path.mkdir(mode=0o700)

    def remove(self) -> None:
        """Remove the folder with its content. Removing twice is fine."""
        shutil.rmtree(self._root, ignore_errors=True)
        self._lock.close()


def _own(folder: Path) -> None:
    """Refuse a folder that another user has put there to catch our keys."""
    found = folder.lstat()
    if found.st_uid != os.getuid() or folder.is_symlink() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a private folder of this user; remove it or set TMPDIR")


def _sweep(parent: Path) -> None:
    for folder in parent.iterdir():
        with suppress(OSError), (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
