"""Export of the border objects as JSON Schema.

python -m schemas.export            writes schemas/json
python -m schemas.export --check    exit code 1 when schemas/json is not what the code says
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from schemas.cycle import CycleRequest, CycleResult, Lineage, Progress
from schemas.events import NotificationEvent
from schemas.evidence import Evidence
from schemas.features import FeatureGroup
from schemas.jobs.explanation import ExplainRequest, Explanation
from schemas.jobs.reproduction import Claimed
from schemas.jobs.vectors import VectorsRequest, VectorStamp
from schemas.manifest import ModelManifest
from schemas.model_events import ModelEvent
from schemas.watching.notifications import Notification

EXPORTED: dict[str, type[BaseModel]] = {
    "notification_event": NotificationEvent,
    "feature_group": FeatureGroup,
    "cycle_request": CycleRequest,
    "progress": Progress,
    "cycle_result": CycleResult,
    "lineage": Lineage,
    "model_manifest": ModelManifest,
    "model_event": ModelEvent,
    "notification": Notification,
    "evidence": Evidence,
    "claimed": Claimed,
    "explain_request": ExplainRequest,
    "explanation": Explanation,
    "vectors_request": VectorsRequest,
    "vector_stamp": VectorStamp,
}
"""Every object that crosses a border, by the name of its schema file."""

FOLDER = Path(__file__).parent / "json"


def render(model: type[BaseModel]) -> str:
    """The JSON Schema of a model, as it is written to its file."""
    return json.dumps(model.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n"


def stale() -> list[str]:
    """Names of the schema files that are missing or not current, and of files that belong to nothing."""
    wanted = {f"{name}.json": render(model) for name, model in EXPORTED.items()}
    present = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def main() -> int:
    """Write the schemas, or check them; returns the exit code."""
    if "--check" in sys.argv[1:]:
        names = stale()
        for name in names:
            print(f"schemas/json/{name} is not current: run `make schemas`")
        return 1 if names else 0
    FOLDER.mkdir(exist_ok=True)
    for name, model in EXPORTED.items():
        (FOLDER / f"{name}.json").write_text(render(model))
    return 0


if __name__ == "__main__":
    sys.exit(main())
