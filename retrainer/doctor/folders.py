"""Finds out whether a folder can be written, without writing into it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NOT_HERE = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}
"""Errors of a file system without nameless files."""


def existing(path: Path) -> Path:
    """The path, or the innermost folder above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def why_not_writable(folder: Path) -> str | None:
    """Why a folder cannot be written; None where it can.

    The test is a file without a name: it is never in the folder, so not even the folder's time changes.
    """
    if not folder.is_dir():
        return os.strerror(errno.ENOTDIR)
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in _NOT_HERE:
            return error.strerror or str(error)
        if not os.access(folder, os.W_OK | os.X_OK):
            return os.strerror(errno.EACCES)
    return None
