"""Downloading versions, and keeping what was downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.errors import RegistryError
from stores.hopsworks.session import Session
from stores.registry.hopsworks.registry import HopsworksModelRegistry
from tests.contract.test_model_registry import staged
from tests.hopsworks_double import Action, Drop, HopsworksDouble, LoseReply, Status
from tests.hopsworks_double.clients.registries import MODEL, Open, fail, put_upload, registry_at, requests_of


def test_a_version_is_downloaded_once_and_again_when_its_copy_is_damaged(
    double: HopsworksDouble,
    registry: HopsworksModelRegistry,
    another: Open,
    tmp_path: Path,
) -> None:
    registry.register(staged(tmp_path, "c1"))
    opened = another()
    folder = opened.fetch(1)
    since = len(double.requests)
    assert opened.fetch(1) == folder
    assert not requests_of(double, since, part="download")
    (folder / "two_tower_model.keras").write_text("damaged")
    assert (opened.fetch(1) / "two_tower_model.keras").read_text() == "weights"
    (folder / "towers" / "empty.txt").unlink()
    assert (opened.fetch(1) / "towers" / "empty.txt").read_text() == ""


def test_a_number_that_is_given_out_again_is_another_version(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registry.register(staged(tmp_path, "c1"))
    registry.fetch(1)
    double.registry.remove_folder(MODEL, 1)
    del double.registry.models[f"{MODEL}_1"]
    other = staged(tmp_path, "c2", content="others!")
    put_upload(double, 1, other, description="Retrainer cycle c2: full, afresh")
    assert [found.manifest.cycle_id for found in registry.versions()] == ["c2"]
    assert (registry.fetch(1) / "two_tower_model.keras").read_text() == "others!"
    third = staged(tmp_path, "a-third-cycle", content="thirds?")
    put_upload(double, 1, third, description="Retrainer cycle a-third-cycle: full, made at the same moment")
    assert [found.manifest.cycle_id for found in registry.versions()] == ["a-third-cycle"]
    assert (registry.fetch(1) / "two_tower_model.keras").read_text() == "thirds?"


def test_a_version_that_is_damaged_in_the_registry_is_not_given(
    double: HopsworksDouble, registry: HopsworksModelRegistry, tmp_path: Path
) -> None:
    registry.register(staged(tmp_path, "c1"))
    double.registry.files[f"{double.registry.folder(MODEL, 1)}/Files/two_tower_model.keras"] = b"WEIGHTS"
    with pytest.raises(RegistryError, match="version 1 of two_tower_recommender is damaged"):
        registry.fetch(1)


@pytest.mark.parametrize("do", [Status(503), Status(401), Drop(), LoseReply()], ids=["503", "401", "drop", "reply"])
def test_whichever_request_of_a_download_fails_it_is_made_again(
    double: HopsworksDouble,
    registry: HopsworksModelRegistry,
    another: Open,
    tmp_path: Path,
    do: Action,
) -> None:
    registry.register(staged(tmp_path, "c1"))
    since = len(double.requests)
    another().fetch(1)
    for turn in range(len(requests_of(double, since))):
        fault = fail(double, ".", do, skip=turn)
        assert (another().fetch(1) / "two_tower_model.keras").read_text() == "weights"
        assert fault.hits == 1


def test_the_copies_used_last_are_kept(registry: HopsworksModelRegistry, session: Session, tmp_path: Path) -> None:
    numbers = [registry.register(staged(tmp_path, f"c{number}")).version for number in range(6)]
    for number in (1, 2, 3, 4, 1, 5, 6):
        registry_at(session, tmp_path / "cache").fetch(number)  # one that lives on would hold its folder
    kept = {path.name.split("-")[0] for path in (tmp_path / "cache" / "files").iterdir()}
    assert kept == {"1", "4", "5", "6"}
    assert [found.version for found in registry.versions()] == numbers


def test_manifests_are_downloaded_once_and_forgotten_with_their_versions(
    double: HopsworksDouble, another: Open, tmp_path: Path
) -> None:
    opened = another()
    for number in range(3):
        another().register(staged(tmp_path, f"c{number}"))
    assert len(opened.versions()) == 3
    since = len(double.requests)
    assert len(opened.versions()) == 3
    assert not requests_of(double, since, part="download")
    double.registry.remove_folder(MODEL, 2)
    del double.registry.models[f"{MODEL}_2"]
    assert [found.version for found in opened.versions()] == [1, 3]
    kept = sorted(path.name.split("-")[0] for path in (tmp_path / "cache-0" / "manifests").glob("*.json"))
    assert kept == ["1", "3"]
