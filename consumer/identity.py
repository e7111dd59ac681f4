"""The id of an instance. A host name would not do: containers of an image, and host networking, share host names.

The id is random and kept in the state folder, followed by a mark of where the folder lies: its file on its disk, under
the kernel that runs. So a folder that was copied into an image, or beside its original, gives another instance. A
process that starts with the same id works on the same folder, on a machine that has not been restarted since. One
process at a time does that (`consumer.lock`), so the process before is gone.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

import structlog

from schemas.log_events.service import INSTANCE_ID_NOT_KEPT

log = structlog.get_logger()

_FILE = "instance_id"
_KEPT = re.compile(r"[0-9a-f]{16}")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Identity:
    """One instance."""

    id: str
    name: str
    """The name of the instance for people: its host and state folder. Two instances may have the same name."""

    @property
    def folder(self) -> str:
        """The part of the id that copies of the state folder have in common."""
        return folder_of(self.id)


def identity(state_dir: Path) -> Identity:
    """The instance on a state folder, which the caller holds; the first call makes the id.

    Where the folder cannot keep the id, each start makes another instance, which waits like any other for the lease
    that the process before left.
    """
    name, file = name_of(state_dir), state_dir / _FILE
    try:
        kept = _read(file) or _made(file)
        place = file.stat()
    except OSError as error:
        log.warning(INSTANCE_ID_NOT_KEPT, file=str(file), reason=str(error))
        return Identity(f"{_random()}-{_random()[:8]}", name)
    lies = f"{_boot()} {place.st_dev} {place.st_ino}"
    return Identity(f"{kept}-{blake2b(lies.encode(), digest_size=4).hexdigest()}", name)


def name_of(state_dir: Path) -> str:
    """The name for people of the instance on a state folder."""
    return f"{socket.gethostname()}:{state_dir}"


def folder_of(instance: str) -> str:
    """The part that the ids of instances have in common when their state folders are copies of one."""
    return instance.partition("-")[0]


def _read(file: Path) -> str | None:
    try:
        found = file.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    return found if _KEPT.fullmatch(found) else None  # the machine may have died while the file was written


def _made(file: Path) -> str:
    """Make the file, which is whole or missing after a crash."""
    made, temporary = _random(), file.with_name(f".{file.name}")
    with temporary.open("w") as opened:
        opened.write(made)
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(file)
    return made


def _random() -> str:
    return uuid4().hex[:16]


def _boot() -> str:
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return ""
