"""Whether the published vectors are those of the champion, with all that was settled. Pure, but for one small file."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from consumer.ledger.cycles import Base
from consumer.settings import Settings
from schemas.jobs.vectors import VectorStamp, current_set, stamp_of
from schemas.private import private_file

_TROUBLE_FILE = "vectors.json"


def is_due(base: Base, model_name: str, stamp: VectorStamp | None) -> bool:
    """Whether a set is to be published, where `stamp` is that of the one that counts."""
    if base.version is None:
        return False
    if stamp is None or stamp.origin.model_name != model_name or stamp.origin.version != base.version:
        return True
    return stamp.as_of != base.last_promoted_cycle


def place_of(settings: Settings) -> Path:
    """The folder of the sets; where only a feature group is set, one of our own."""
    return settings.vectors.out or settings.state_dir / "vectors"


def vectors_now(settings: Settings) -> dict[str, Any] | None:
    """What `status` says of the published vectors; None where none are asked for."""
    if not settings.vectors.wanted:
        return None
    stamp, trouble = stamp_of(current_set(place_of(settings))), None
    with suppress(OSError, ValueError):
        trouble = json.loads((settings.state_dir / _TROUBLE_FILE).read_text())["trouble"]
    return {
        "version": stamp.origin.version if stamp else None,
        "users": stamp.users if stamp else None,
        "as_of": stamp.as_of if stamp else None,
        "created_at": stamp.created_at.isoformat() if stamp else None,
        "out": str(place_of(settings)),
        "trouble": trouble,
    }


def note_trouble(settings: Settings, trouble: str | None) -> None:
    """Keep the trouble, or its end, for `status`, which is another process."""
    path = settings.state_dir / _TROUBLE_FILE
    if trouble is None:
        path.unlink(missing_ok=True)
    else:
        new = private_file(path.with_suffix(".new"))
        new.write_text(json.dumps({"trouble": trouble}))
        new.replace(path)
