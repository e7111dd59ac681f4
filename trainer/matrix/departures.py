"""Who left an embedding space since a cycle was last settled.

A space takes deletions in before a cycle has come to its end, and keeps them when it is rejected or held. So those who
leave are noted beside the matrix before they do, and the note stands until another cycle is settled: the same cycle
repeated after a crash, and the next one, still count them among the users known before.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from stores.files import replacing
from trainer.matrix.embeddings import UserMatrix

_NOTE_FILE = "leavers.json"


def note_departures(
    folder: Path, since: str, matrix: UserMatrix, leaving: Collection[str], staying: Collection[str]
) -> None:
    """Note who of `leaving` is in `matrix`, that of the space in `folder`, and forget those who came back (`staying`).

    Args:
        since: the cycle that was settled last; what was noted since another one is forgotten.
    """
    users = (departed(folder, since) | matrix.rows_of(list(leaving)).keys()) - set(staying)
    with replacing(folder / _NOTE_FILE) as file:
        file.write(json.dumps({"since": since, "users": sorted(users)}).encode())


def departed(folder: Path, since: str) -> set[str]:
    """Who left the space in `folder` since the cycle `since` was settled; nobody where that is not noted."""
    try:
        note = json.loads((folder / _NOTE_FILE).read_bytes())
        return set(note["users"]) if note["since"] == since else set()
    except (OSError, ValueError, KeyError):
        return set()
