"""Slices: which users are new, changed or unchanged since the champion.

    new         the champion's space had no such user when the champion was registered
    changed     it had, and the cycle claimed the user; in a full retrain also a user whose raw row is another now
    unchanged   everybody else

Without a champion all users are new. Where the champion's space is lost, new users cannot be recognised: claimed users
are changed, the others unchanged.

A space takes users in before a cycle ends, and keeps them when the cycle is rejected. So newcomers are noted
before they enter the matrix, and the note is valid as long as the champion stays: they are still new where the cycle
is repeated after a crash, and in the next cycle after a rejection. A rollback ends the note.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import CycleRequest, Slice
from stores.files import replacing
from trainer.matrix.embeddings import Rows, UserMatrix
from trainer.opponents import LoadedVersion
from trainer.space import Space

_NOTE_FILE = "newcomers.json"


def note_newcomers(
    folder: Path, champion: LoadedVersion, matrix: UserMatrix, arriving: Sequence[str], leaving: Collection[str] = ()
) -> None:
    """Note the users of `arriving` that are not in `matrix` yet, the matrix of the champion's space in `folder`.

    Users of `leaving` are noted no longer: nothing is to name a user who was deleted.

    Safe to repeat: users noted under this champion stay noted.
    """
    users = (_noted(folder, champion) - set(leaving)) | (set(arriving) - matrix.rows_of(arriving).keys())
    with replacing(folder / _NOTE_FILE) as file:
        file.write(json.dumps({"champion": champion.manifest.cycle_id, "users": sorted(users)}).encode())


def slices_of(
    rows: Rows, space: Space, champion: LoadedVersion | None, request: CycleRequest, spaces: Path
) -> dict[Slice, Rows]:
    """The rows of each slice. Every slice is there, and every row is in exactly one.

    Args:
        rows: distinct rows of the matrix of `space`.
        space: the cycle's space, with all changes in it.
        champion: the version that the challenger is compared with, if any.
        request: names the claimed users.
        spaces: the folder of all spaces, for the champion's space where it is another.
    """
    if champion is None:
        return {Slice.NEW: rows, Slice.CHANGED: rows[:0], Slice.UNCHANGED: rows[:0]}
    info = champion.manifest.space
    new = np.isin(rows, _rows_of(space.matrix, sorted(_noted(spaces / info.space_id, champion))))
    changed = np.isin(rows, _rows_of(space.matrix, request.users))
    if info.space_id != space.info.space_id:
        before = Space.open(spaces / info.space_id, info, request.settings.feature_group, request.last_promoted_cycle)
        if before is not None:
            with closing(before):
                absent, differing = _compared(rows, space.matrix, before.matrix)
            new, changed = new | absent, changed | differing
    changed &= ~new
    return {Slice.NEW: rows[new], Slice.CHANGED: rows[changed], Slice.UNCHANGED: rows[~new & ~changed]}


def _compared(rows: Rows, matrix: UserMatrix, before: UserMatrix) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which users of `rows` the matrix `before` lacks, and whose raw row differs there."""
    names = {row: key for key, row in zip(*matrix.users(), strict=True)}
    keys = [names[row] for row in rows]
    known = before.rows_of(keys)
    at = np.array([known.get(key, -1) for key in keys], dtype=np.int64)
    absent = at < 0
    return absent, ~absent & (matrix.raw[rows] != before.raw[at]).any(axis=1)


def _rows_of(matrix: UserMatrix, users: Sequence[str]) -> Rows:
    return np.array(list(matrix.rows_of(users).values()), dtype=np.int64)


def _noted(folder: Path, champion: LoadedVersion) -> set[str]:
    """Users who entered the space in `folder` since `champion` was registered; empty without a note."""
    try:
        note = json.loads((folder / _NOTE_FILE).read_bytes())
        return set(note["users"]) if note["champion"] == champion.manifest.cycle_id else set()
    except (OSError, ValueError, KeyError):  # slices decide nothing, so a damaged note stops nothing
        return set()
