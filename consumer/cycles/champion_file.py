"""`champion.json` beside the versions of a local registry: which of them is champion, for whoever serves them.

The file is replaced whole. It never goes back to an earlier promotion of the same ledger, whichever of several
instances writes last.
"""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consumer.ledger.promotions import Promotion

NAME = "champion.json"
_LOCK, _NEW = ".champion.lock", ".champion.json.new"


def says(folder: Path, ledger_id: str, promotion: Promotion) -> bool:
    """Whether the file tells of this promotion, or of a later one of the same ledger.

    Raises:
        OSError: the file is there and cannot be read.
    """
    found = _read(folder)
    number = found.get("promotion")
    return found.get("ledger") == ledger_id and isinstance(number, int) and number >= promotion.number


def write_champion(folder: Path, ledger_id: str, promotion: Promotion) -> None:
    """Have the file tell of a promotion, unless it tells of it, or of a later one, already.

    Args:
        folder: of the model, in which the versions lie.
        ledger_id: which ledger has the promotion.
        promotion: the champion's.

    Raises:
        OSError: the file cannot be written; it is as it was.
    """
    with (folder / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if says(folder, ledger_id, promotion):
            return
        with (folder / _NEW).open("w") as file:
            json.dump(_told(ledger_id, promotion), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        (folder / _NEW).replace(folder / NAME)
        handle = os.open(folder, os.O_RDONLY)  # so that the rename survives a loss of power
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / NAME).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}  # missing, or damaged by somebody: it is written again
    return found if isinstance(found, dict) else {}


def _told(ledger_id: str, promotion: Promotion) -> dict[str, Any]:
    return {
        "version": promotion.version,
        "cycle_id": promotion.cycle_id,
        "action": promotion.action.value,
        "by": promotion.by,
        "reason": promotion.reason,
        "at": datetime.fromtimestamp(promotion.at, UTC).isoformat(),
        "promotion": promotion.number,
        "ledger": ledger_id,
    }
