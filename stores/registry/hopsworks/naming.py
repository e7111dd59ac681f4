"""What a cycle writes into the registry: the description of its version, the metrics, and the marker in the folder.

People and our own code read the first line of the description: `Retrainer cycle <id>: <kind>, <reason>`. The marker is
an empty folder `cycle-<id>` among the files of the model. The SDK makes sub-folders before it uploads files, so the
marker is there first, and a broken upload shows which cycle it belongs to.
"""

from __future__ import annotations

import math
import re

from schemas.manifest import ModelManifest

_LONGEST = 250  # characters; the limit of a cluster is not documented
_FIRST_LINE = re.compile(r"^Retrainer cycle ([a-z0-9-]+): ", re.MULTILINE)


def describe(manifest: ModelManifest) -> str:
    """The description of a cycle's version."""
    line = " ".join(f"Retrainer cycle {manifest.cycle_id}: {manifest.kind.value}, {manifest.reason}".split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def cycle_in(description: str) -> str | None:
    """The cycle that a description names; None for a version that is not ours. People may have added lines."""
    found = _FIRST_LINE.search(description)
    return found[1] if found else None


def marker_of(cycle_id: str) -> str:
    """The name of the marker: the folder that shows which cycle an upload belongs to."""
    return f"cycle-{cycle_id}"


def metrics_of(manifest: ModelManifest) -> dict[str, float]:
    """Scores and sizes in the form that the registry takes: numbers under names in lower snake case."""
    numbers = {
        **manifest.metrics.model_dump(),
        "users": manifest.pair_report.users,
        "pairs": manifest.pair_report.after,
    }
    return {name: float(value) for name, value in numbers.items() if value is not None and math.isfinite(value)}
