"""What is served by TensorFlow Serving: a folder for each version, made by `python -m trainer.export`.

The folder is `<out>/<model name>/<version>/`. TensorFlow Serving takes the whole numbers among the names below the
model for versions, and serves the highest. All else there begins with a dot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Frozen
from schemas.cycle import TrainerSettings

BOTH, QUERY_ONLY, CANDIDATE_ONLY = "serving_default", "query", "candidate"
SIGNATURES: dict[str, tuple[tuple[str, ...], str]] = {
    BOTH: (("query", "candidate"), "probability"),
    QUERY_ONLY: (("features",), "embedding"),
    CANDIDATE_ONLY: (("features",), "embedding"),
}
"""By signature, the names of its inputs, each (batch, width) raw rows, and of its output: (batch, 1) probabilities, or
(batch, 128) unit embeddings. All numbers are float32."""

EXTRA = "assets.extra"
"""The folder in a SavedModel that TensorFlow Serving leaves to others, but for the warm-up."""
WARM_UP_FILE = f"{EXTRA}/tf_serving_warmup_requests"
NOTE_FILE = f"{EXTRA}/retrainer.json"


class ExportRequest(Frozen):
    """Which version to write, and where."""

    settings: TrainerSettings
    version: Annotated[int, Field(ge=1)]
    out: Path
    """Folder of the models; may be missing."""
    highest: bool = False
    """Whether the version is to be the highest of its model, so that it is the one that is served: higher ones that we
    have written are removed."""
    keep: Annotated[int, Field(ge=0)] | None = None
    """How many earlier versions of ours stay; None for all."""


class Exported(Frozen):
    """A version that can be served; also the note that lies in its folder."""

    model_name: str
    version: int
    cycle_id: str
    signatures: dict[str, tuple[tuple[str, ...], str]] = SIGNATURES
    warm_up_requests: int
    warm_up_rows: Literal["feature store", "drawn"]
    """Whether the warm-up asks about real rows, or about rows drawn at random in the model's scaling."""


def folder_of(out: Path, model_name: str, version: int) -> Path:
    """Where a version lies."""
    return out / model_name / str(version)


def versions_in(out: Path, model_name: str) -> list[int]:
    """The versions that are there, lowest first, ours or not; none where there is no folder."""
    folder = out / model_name
    try:
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())
    except FileNotFoundError:
        return []
