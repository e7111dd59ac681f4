"""Settings on record: what is not the default, and from that all of them again."""

from __future__ import annotations

from pathlib import Path

import schemas
from schemas.cycle import TrainerSettings
from schemas.labels import LabelGroup
from schemas.manifest import ModelManifest
from schemas.policies import GatePolicy
from schemas.recorded import recorded, whole
from tests.worlds import trainer_settings

GOLDEN = Path(schemas.__file__).parent / "golden" / "model_manifest.json"
SECTIONS = ("feature_group", "labels", "pairs", "split", "fit", "gate", "guard")


def sections(settings: TrainerSettings | ModelManifest) -> dict[str, object]:
    found = {name: getattr(settings, name) for name in SECTIONS}
    return {name: section.model_dump(mode="json") for name, section in found.items() if section is not None}


def test_only_what_is_not_the_default_is_put_on_record(tmp_path: Path) -> None:
    settings = trainer_settings(tmp_path).model_copy(update={"gate": GatePolicy(draws=300)})
    found = recorded(settings)
    assert found["gate"] == {"draws": 300}
    assert found["guard"] == {}
    assert "labels" not in found
    assert recorded(settings.model_copy(update={"labels": LabelGroup()}))["labels"] == {}


def test_all_settings_come_back(tmp_path: Path) -> None:
    settings = trainer_settings(tmp_path).model_copy(update={"labels": LabelGroup(directed=True)})
    manifest = ModelManifest.model_validate_json(GOLDEN.read_bytes())
    for source in (settings, manifest):
        assert whole(recorded(source)) == sections(source)


def test_what_this_release_does_not_know_stays_or_is_left_out() -> None:
    assert whole({"gate": {"luck": 3}, "oracle": {"x": 1}})["gate"]["luck"] == 3
    assert "oracle" not in whole({"oracle": {"x": 1}})
