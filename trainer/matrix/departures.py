"""Users who left an embedding space since the last settled cycle.

A space applies deletions before a cycle ends, and keeps them when the cycle is rejected or held. So departures are
noted beside the matrix before they are applied, and the note is valid until another cycle is settled. A repetition of
the cycle after a crash, and the next cycle, still count these users among those known before.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from stores.files import replacing
from trainer.matrix.embeddings import UserMatrix

_NOTE_FILE = "leavers.json"  # spaces on disk have this name


def note_departures(
    folder: Path, since: str, matrix: UserMatrix, leaving: Collection[str], staying: Collection[str]
) -> None:
    """Note the users of `leaving` that are in `matrix`, the matrix of the space in `folder`; drop those in `staying`.

    Args:
        since: the last settled cycle; notes since another one are dropped.
    """
    users = (departed(folder, since) | matrix.rows_of(list(leaving)).keys()) - set(staying)
    with replacing(folder / _NOTE_FILE) as file:
        file.write(json.dumps({"since": since, "users": sorted(users)}).encode())


def departed(folder: Path, since: str) -> set[str]:
    """Users who left the space in `folder` since the cycle `since` was settled; empty without a note."""
    try:
        note = json.loads((folder / _NOTE_FILE).read_bytes())
        return set(note["users"]) if note["since"] == since else set()
    except (OSError, ValueError, KeyError):
        return set()
