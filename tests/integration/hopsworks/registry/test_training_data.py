"""Versions name the training dataset of their space where the setting asks for it, or say why they name none."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.cycle import CycleKind, TrainerSettings
from schemas.hopsworks import HopsworksStore
from schemas.manifest import MANIFEST_FILE, ModelManifest
from stores.hopsworks.session import Session
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from stores.registry.opening import open_registry
from tests.contract.test_model_registry import staged
from tests.hopsworks_double import Fault, HopsworksDouble, Status
from tests.hopsworks_double.clients.registries import MODEL, SETTINGS, fail
from tests.worlds import GROUP, World, names

FULL, FOLLOWING = "c000001-00000000", "c000002-00000000"
VIEW = (f"{GROUP.name}_retrainer", 1)


@pytest.fixture
def registry(double: HopsworksDouble, session: Session, tmp_path: Path) -> HopsworksModelRegistry:
    double.store.put(
        {user: {name: row.tolist() for name, row in one.items()} for user, one in World().rows(names(30)).items()}
    )
    settings = TrainerSettings(
        feature_group=GROUP,
        hopsworks=session.cluster,
        feature_store=HopsworksStore(),
        model_registry=SETTINGS.model_copy(update={"training_dataset": True}),
        work_dir=tmp_path / "work",
    )
    opened = open_registry(settings)
    assert isinstance(opened, HopsworksModelRegistry)
    return opened


def version(folder: Path, cycle_id: str, kind: CycleKind) -> Path:
    """A version of the space of the full cycle."""
    place = staged(folder, cycle_id)
    manifest = ModelManifest.model_validate_json((place / MANIFEST_FILE).read_bytes())
    space = manifest.space.model_copy(update={"space_id": FULL})
    changed = manifest.model_copy(update={"kind": kind, "space": space})
    (place / MANIFEST_FILE).write_text(changed.model_dump_json())
    return place


def named(double: HopsworksDouble, number: int) -> tuple[int, str]:
    """The training dataset that an entry names, 0 for none, and the second line of its description."""
    entry = double.registry.models[f"{MODEL}_{number}"]
    return entry["trainingDatasetVersion"], entry["description"].partition("\n")[2]


def test_a_training_from_scratch_makes_one_and_the_cycles_after_it_name_the_same(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registry.register(version(tmp_path, FULL, CycleKind.FULL))
    assert double.query_service.written == {(*VIEW, 1): 30}
    registry.register(version(tmp_path, FOLLOWING, CycleKind.INCREMENTAL))
    assert (named(double, 1), named(double, 2)) == ((1, ""), (1, ""))
    assert len(double.views.training_data[VIEW]) == 1


def test_what_a_killed_process_left_is_written_again_and_not_made_twice(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    fault = double.faults.add(Fault(server="flight", where="create-training-dataset", do=Status(500)))
    registry.register(version(tmp_path, FULL, CycleKind.FULL))
    assert fault.hits == 1
    number, why = named(double, 1)
    assert (number, "write a training dataset" in why) == (0, True)
    double.registry.remove_folder(MODEL, 1)  # so that the cycle registers again
    registry.register(version(tmp_path, FULL, CycleKind.FULL))
    assert double.query_service.written == {(*VIEW, 1): 30}
    assert len(double.views.training_data[VIEW]) == 1


def test_nobody_goes_without_a_version_for_want_of_one(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registry.register(version(tmp_path, FOLLOWING, CycleKind.INCREMENTAL))
    assert named(double, 1) == (0, f"No training dataset: cycle {FULL}, which made the space, has none")
    fail(double, r"POST .*/trainingdatasets", Status(500), times=None)
    assert registry.register(version(tmp_path, FULL, CycleKind.FULL)).version == 2
    assert named(double, 2)[1].startswith(
        "No training dataset: write a training dataset of listeners_retrainer: HTTP 500"
    )
    assert registry.find(FULL) is not None
