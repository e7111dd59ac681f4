"""The exported schemas are current, and the golden examples of every border object still load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

import schemas
from schemas.cycle import CycleKind, CycleRequest, CycleResult, Lineage, Outcome
from schemas.export import EXPORTED, stale
from schemas.features import Column, FeatureGroup
from schemas.manifest import ModelManifest

GOLDEN = Path(schemas.__file__).parent / "golden"
EARLIER = Path(__file__).parents[2] / "earlier"


def test_the_exported_schemas_are_current() -> None:
    assert stale() == []


@pytest.mark.parametrize("name", [name for name in EXPORTED if name != "notification_event"])
def test_golden_examples_survive_a_round_trip(name: str) -> None:
    text = (GOLDEN / f"{name}.json").read_text()
    found = EXPORTED[name].model_validate_json(text)
    assert found.model_dump(mode="json") == json.loads(text)


def test_a_manifest_from_before_average_precision_and_slices_loads() -> None:
    manifest = json.loads((GOLDEN / "model_manifest.json").read_text())
    gate = manifest["gate_report"]
    del gate["slices"]
    for metrics in (manifest["metrics"], gate["challenger"], gate["champion"]):
        del metrics["average_precision"]
    found = ModelManifest.model_validate(manifest)
    assert found.metrics.average_precision is None
    assert found.gate_report.slices == {}


def test_records_with_earlier_names_load() -> None:
    """They stand in manifests, in results in the ledger, and in requests on disk."""
    manifest = json.loads((GOLDEN / "model_manifest.json").read_text())
    gate, fit = manifest["gate_report"], manifest["fit_report"]
    gate["anchor"] = gate.pop("baseline") or gate["champion"]
    fit["afresh"] = not fit.pop("restarted")
    manifest["probe_report"] = {"version": 1, "users": 2, "labels": 3, "told": "nothing is lost"}
    found = ModelManifest.model_validate(manifest)
    assert found.gate_report.baseline is not None
    assert found.gate_report.model_dump(mode="json")["baseline"] == gate["anchor"]
    assert found.fit_report.restarted is fit["afresh"]
    assert found.probe_report is not None
    assert found.probe_report.summary == "nothing is lost"
    assert ModelManifest.model_validate_json(found.model_dump_json()) == found
    request = json.loads((GOLDEN / "cycle_request.json").read_text())
    former = {("anchor_version" if name == "baseline_version" else name): value for name, value in request.items()}
    assert former != request
    assert CycleRequest.model_validate(former).model_dump(mode="json") == request


def test_lineage_with_one_range_of_replayed_offsets_loads_as_a_list_of_one() -> None:
    lineage = json.loads((GOLDEN / "lineage.json").read_text()) | {"replayed": {"t": {"0": [3, 9], "1": [[0, 2]]}}}
    found = Lineage.model_validate(lineage)
    assert found.replayed == {"t": {0: ((3, 9),), 1: ((0, 2),)}}
    assert found == Lineage.model_validate_json(found.model_dump_json())
    manifest = json.loads((GOLDEN / "model_manifest.json").read_text()) | {"lineage": lineage}
    assert ModelManifest.model_validate(manifest).lineage == found


def test_a_request_with_the_names_of_an_earlier_release_is_read() -> None:
    request = CycleRequest.model_validate_json((EARLIER / "request.json").read_text())
    assert request.last_promoted_cycle == "c000001-11fcc2f7"
    assert len(request.recently_learned_users) == 200
    assert request.recently_learned_labels == ()
    assert (request.min_version_exclusive, request.lookup_only) == (1, False)
    old = json.loads((EARLIER / "request.json").read_text())
    found = CycleRequest.model_validate(old | {"only_find": True, "above": 7, "recent_labels": [["a", "b"]]})
    assert (found.lookup_only, found.min_version_exclusive) == (True, 7)
    assert found.recently_learned_labels == (("a", "b"),)
    assert not {"lately", "recent_labels", "follows", "above", "only_find"} & found.model_dump().keys()
    assert CycleRequest.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("said", [True, False])
def test_a_result_with_the_names_of_an_earlier_release_is_read(said: bool) -> None:
    old = json.loads((EARLIER / "result.json").read_text())
    result = CycleResult.model_validate(old | {"absent": said})
    assert result.not_registered is said
    assert "absent" not in result.model_dump()
    assert CycleResult.model_validate_json(result.model_dump_json()) == result


def test_an_unknown_field_is_refused_at_our_own_borders() -> None:
    request = json.loads((GOLDEN / "cycle_request.json").read_text())
    with pytest.raises(ValidationError, match="surprise"):
        CycleRequest.model_validate(request | {"surprise": 1})


def test_a_follower_needs_a_base_version() -> None:
    request = json.loads((GOLDEN / "cycle_request.json").read_text())
    assert request["kind"] == CycleKind.INCREMENTAL
    with pytest.raises(ValidationError, match="needs a base_version"):
        CycleRequest.model_validate(request | {"base_version": None})


def test_only_registered_has_a_version() -> None:
    with pytest.raises(ValidationError):
        CycleResult(cycle_id="c1", outcome=Outcome.REJECTED, reason="worse", base_version=1, version=2)
    with pytest.raises(ValidationError):
        CycleResult(cycle_id="c1", outcome=Outcome.REGISTERED, reason="better", base_version=1)


def test_a_fit_that_diverged_can_be_told() -> None:
    result = json.loads((GOLDEN / "cycle_result.json").read_text())
    diverged = CycleResult.model_validate(result | {"fit": result["fit"] | {"loss": float("nan")}})
    again = CycleResult.model_validate_json(diverged.model_dump_json())
    assert again.fit is not None
    assert again.fit.loss != again.fit.loss


def test_the_seed_s_feature_group_is_301_wide() -> None:
    group = FeatureGroup()
    assert group.width == 301
    assert group.slices()["release_year_embedding"] == slice(300, 301)
    with pytest.raises(ValidationError, match="distinct"):
        FeatureGroup(columns=(Column(name="user_id", length=3),))
