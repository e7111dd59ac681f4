"""What is written into the registry for a cycle: the description of its version, its metrics, the sign in its folder.

The description's first line is for people and for us: `Retrainer cycle <id>: <kind>, <reason>`. The sign is an empty
folder `cycle-<id>` among the model's files. It goes up before any of them, as the SDK makes the sub-folders of a folder
before it uploads its files; so an upload that broke off says whose it was.
"""

from __future__ import annotations

import math
import re

from schemas.manifest import ModelManifest

_LONGEST = 250  # characters; how many a cluster takes is not known
_FIRST_LINE = re.compile(r"^Retrainer cycle ([a-z0-9-]+): ", re.MULTILINE)


def describe(manifest: ModelManifest) -> str:
    """The description of a cycle's version."""
    line = " ".join(f"Retrainer cycle {manifest.cycle_id}: {manifest.kind.value}, {manifest.reason}".split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def cycle_in(description: str) -> str | None:
    """The cycle that a description names; None for a version that is none of ours. People may have added lines."""
    found = _FIRST_LINE.search(description)
    return found[1] if found else None


def sign_of(cycle_id: str) -> str:
    """The name of the folder that says whose upload it is."""
    return f"cycle-{cycle_id}"


def metrics_of(manifest: ModelManifest) -> dict[str, float]:
    """Scores and sizes as the registry takes them: numbers under names in lower snake case."""
    numbers = {
        **manifest.metrics.model_dump(),
        "users": manifest.pair_report.users,
        "pairs": manifest.pair_report.after,
    }
    return {name: float(value) for name, value in numbers.items() if value is not None and math.isfinite(value)}
