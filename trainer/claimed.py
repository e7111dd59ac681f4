"""What a cycle had claimed, kept with its version: the ledger forgets it, and the cycle could not be run again."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from pydantic import ValidationError

from schemas.cycle import CycleRequest
from schemas.jobs.reproduction import Claimed
from schemas.manifest import CLAIMED_FILE


def write_claimed(folder: Path, request: CycleRequest) -> None:
    """Write the claim of a request into the folder of its version; the same claim gives the same bytes."""
    claimed = Claimed(
        users=request.users,
        labels=request.labels,
        recently_learned_users=request.recently_learned_users,
        recently_learned_labels=request.recently_learned_labels,
        accept=request.accept,
    )
    (folder / CLAIMED_FILE).write_bytes(gzip.compress(claimed.model_dump_json().encode(), mtime=0))


def read_claimed(folder: Path) -> Claimed | None:
    """The claim that a version tells; None where it was made before versions told it."""
    try:
        return Claimed.model_validate_json(gzip.decompress((folder / CLAIMED_FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error, ValidationError):  # the hash was right: of another release
        return None
