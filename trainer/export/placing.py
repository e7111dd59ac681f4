"""Puts versions where TensorFlow Serving looks for them, whole or not at all, while it looks.

A version is written beside its place under a name that begins with a dot, flushed, and renamed. One writer at a time
has the lock of a model's folder. Only versions with our note are ever removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError

from schemas.jobs.saved_model import NOTE_FILE, Exported, folder_of, versions_in
from stores.files import flush_folder, share, shared
from trainer.errors import ExportError

_INCOMING, _OUTDATED = ".incoming-", ".outdated-"


def note_in(folder: Path) -> Exported | None:
    """What lies in the folder of a version; None where it is none of ours."""
    try:
        return Exported.model_validate_json((folder / NOTE_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def put_in_place(
    out: Path, model_name: str, version: int, cycle_id: str, write: Callable[[Path], Exported]
) -> Exported:
    """Have `write` fill a folder, and make it the version; a version of this cycle that is there stays as it is.

    The caller holds the lock.

    Raises:
        ExportError: the place is taken by something else.
    """
    place = folder_of(out, model_name, version)
    if place.exists():
        if (found := note_in(place)) is None or found.cycle_id != cycle_id:
            of = f"is of cycle {found.cycle_id}" if found else "is not of Retrainer"
            raise ExportError(f"{place} {of}, and not of cycle {cycle_id}: remove it, or name another folder")
        return found
    incoming = place.with_name(f"{_INCOMING}{version}")
    try:
        with shared():
            incoming.mkdir()
        exported = write(incoming)
        (incoming / NOTE_FILE).write_text(exported.model_dump_json(indent=2) + "\n")
        share(incoming)  # the server is another user
        _flush(incoming)
        incoming.rename(place)
        flush_folder(place.parent)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return exported


def make_highest(out: Path, model_name: str, version: int, keep: int | None) -> list[int]:
    """Remove what is above a version, and of those below all but the `keep` highest; returns what was removed.

    The caller holds the lock.

    Raises:
        ExportError: a higher version is not ours.
    """
    there = versions_in(out, model_name)
    above = [one for one in there if one > version]
    if foreign := [one for one in above if note_in(folder_of(out, model_name, one)) is None]:
        raise ExportError(
            f"{folder_of(out, model_name, foreign[-1])} is not of Retrainer, and would be served instead of version"
            f" {version}: remove it, or set RETRAINER_EXPORT__OUT to another folder"
        )
    below = [one for one in there if one < version and note_in(folder_of(out, model_name, one)) is not None]
    old = below[: len(below) - keep] if keep is not None and len(below) > keep else []
    for one in (gone := [*above, *old]):
        place = folder_of(out, model_name, one)
        outdated = place.with_name(f"{_OUTDATED}{uuid4().hex}")
        place.rename(outdated)
        shutil.rmtree(outdated, ignore_errors=True)
    return gone


@contextmanager
def locked(out: Path, model_name: str) -> Iterator[None]:
    """The lock of a model's folder, which is made where it is missing; leftovers of a killed writer are removed."""
    folder = out / model_name
    with shared():
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in [*folder.glob(f"{_INCOMING}*"), *folder.glob(f"{_OUTDATED}*")]:
            shutil.rmtree(left, ignore_errors=True)
        yield


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            flush_folder(path)
    flush_folder(folder)
