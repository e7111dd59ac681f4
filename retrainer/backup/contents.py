"""What a backup holds: `backup.json` in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, ValidationError

from schemas.base import Frozen
from schemas.errors import RetrainerError

FILE = "backup.json"
LEDGER = "ledger.db"
FEATURE_STORE = "feature_store.db"
REGISTRY = "registry"


class BackupError(RetrainerError):
    """A backup cannot be taken or restored; the message says why, and what would do."""


class Contents(Frozen):
    """What a backup holds, and of when."""

    format: Literal[1] = 1
    taken_at: AwareDatetime
    release: str
    ledger_id: str
    schema_version: int
    """Of the ledger."""
    rows: dict[str, int]
    """Of the ledger, by table."""
    feature_store: bool
    """Whether the local feature store is in it; one in a cluster is backed up there."""
    registry_versions: tuple[int, ...] | None
    """The versions of the local registry; None where the registry is a cluster's."""
    model_name: str


def contents_of(folder: Path) -> Contents:
    """What the backup in a folder holds.

    Raises:
        BackupError: the folder is no backup that this release can read.
    """
    try:
        return Contents.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise BackupError(f"{folder} is no backup: {FILE} cannot be read: {why}") from None
