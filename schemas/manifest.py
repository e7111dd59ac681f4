"""The model manifest: one JSON beside every model, saying what it is, what it learned and how it was judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from schemas.base import Frozen
from schemas.compatibility import CompatibilityReport
from schemas.cycle import (
    CycleKind,
    FitReport,
    GateReport,
    LabelReport,
    Lineage,
    Metrics,
    PairReport,
    ProbeReport,
    ReadReport,
)
from schemas.features import FeatureGroup
from schemas.guard import GuardReport
from schemas.labels import LabelGroup
from schemas.policies import FitPolicy, GatePolicy, GuardPolicy, PairPolicy, SplitPolicy

MANIFEST_FILE = "manifest.json"
REFUSED_USERS_FILE = "refused.json"
CLAIMED_FILE = "claimed.json.gz"
"""What the cycle had claimed (`schemas.jobs.reproduction.Claimed`), by which it can be run again."""
MODEL_FILE = "two_tower_model.keras"
QUERY_TOWER_FILE = "query_tower.keras"
CANDIDATE_TOWER_FILE = "candidate_tower.keras"
SAVED_MODEL_FILE = "saved_model.pb"
"""Of a SavedModel, beside its `variables`; where a deployment is to serve the versions."""


class ScalarScale(Frozen):
    """How one scalar column is standardised: (clip(x, low, high) - mean) / sqrt(variance).

    Without bounds, as in spaces of earlier releases, nothing is clipped. Where both bounds are the mean, the column did
    not vary, and becomes zero.
    """

    mean: float
    variance: Annotated[float, Field(gt=0)]
    low: float | None = None
    high: float | None = None


class SpaceInfo(Frozen):
    """An embedding space: the frozen scaling that turns raw rows into the directions that are compared."""

    space_id: str
    scalars: dict[str, ScalarScale]


class FileEntry(Frozen):
    """One file of the model, by its path inside the version."""

    path: str
    size: int
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelManifest(Frozen):
    """What a registered version is. The registry gives the number; the cycle id tells versions of one model apart."""

    format: Literal[1] = 1
    model_name: str
    cycle_id: str
    kind: CycleKind
    reason: str
    base_version: int | None
    created_at: AwareDatetime
    feature_group: FeatureGroup
    labels: LabelGroup | None = None
    space: SpaceInfo
    pairs: PairPolicy
    split: SplitPolicy
    fit: FitPolicy
    gate: GatePolicy
    guard: GuardPolicy = GuardPolicy()
    lineage: Lineage
    read_report: ReadReport
    label_report: LabelReport | None = None
    probe_report: ProbeReport | None = None
    """How stale the champion was: its figures on what this version learned, before that was learned."""
    pair_report: PairReport
    guard_report: GuardReport | None = None
    """None in manifests of the first release."""
    fit_report: FitReport
    gate_report: GateReport
    metrics: Metrics
    towers_as_in: int | None = None
    """The version whose towers these are, where nothing was learned and it was registered all the same."""
    index_compatible_with: int | None = None
    """The version before, where its vectors may go on being used with queries of this one."""
    compatibility_report: CompatibilityReport | None = None
    """The figures of that; None without a champion, and in older manifests."""
    packages: dict[str, str]
    files: tuple[FileEntry, ...]

    @model_validator(mode="before")
    @classmethod
    def _of_the_first_release(cls, stored: Any) -> Any:
        """A margin that the gate had then is none of its policy any more."""
        if isinstance(stored, dict) and isinstance(stored.get("gate"), dict):
            kept = {name: value for name, value in stored["gate"].items() if name != "drift_margin"}
            return {**stored, "gate": kept}
        return stored
