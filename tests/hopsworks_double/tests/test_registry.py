"""Models by the unmodified SDK: saved with their files, found, tagged, deleted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hopsworks.client.exceptions import RestAPIError

from tests.hopsworks_double.clients.sdk import Client


def test_a_model_is_saved_found_tagged_and_deleted(client: Client, tmp_path: Path) -> None:
    models, registry = client.project.get_model_registry(), client.double.registry
    folder = tmp_path / "model"
    (folder / "towers").mkdir(parents=True)
    contents = {"model.keras": os.urandom(11 << 20), "towers/empty": b"", "towers/index.bin": b"\r\n--\r\n" + bytes(9)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    model = models.tensorflow.create_model("two_tower", metrics={"recall": 0.5}, description="run 1")
    model.save(str(folder), await_registration=10)
    root = registry.folder("two_tower", 1)
    assert all((folder / path).exists() for path in contents)
    assert {path: registry.files[f"{root}/Files/{path}"] for path in contents} == contents

    found = models.get_model("two_tower", version=1)
    assert (found.version, found.description, found.training_metrics) == (1, "run 1", {"recall": 0.5})
    assert [version.version for version in models.get_models("two_tower")] == [1]
    assert models.get_best_model("two_tower", "recall", "max").version == 1
    assert models.get_model("two_tower", version=2) is None
    assert models.get_models("other") == []

    copy = Path(found.download(str(tmp_path / "copy")))
    assert {path: (copy / path).read_bytes() for path in contents} == contents

    with pytest.raises(RestAPIError) as refused:
        found.add_tag("retrainer", {"champion": True})
    assert (refused.value.response.status_code, refused.value.error_code) == (404, 370000)
    registry.tag_schemas.add("retrainer")
    found.add_tag("retrainer", {"champion": True})
    assert registry.tags["two_tower_1"] == {"retrainer": {"champion": True}}
    assert found.get_tag("retrainer") is not None
    found.delete_tag("retrainer")
    assert found.get_tag("retrainer") is None

    registry.remove_folder("two_tower", 1)
    with pytest.raises(RestAPIError) as stuck:
        found.delete()
    assert (stuck.value.response.status_code, set(registry.models)) == (500, {"two_tower_1"})
    client.project.get_dataset_api().mkdir("Models/two_tower/1")
    found.delete()
    assert (registry.models, root in registry.dirs) == ({}, False)


def test_the_best_model_is_the_servers_choice_and_those_without_the_metric_come_last(client: Client) -> None:
    registry, folder = client.double.registry, {"name": "two_tower", "projectName": "spotify", "framework": "PYTHON"}
    for version, metrics in enumerate(({"recall": 0.3}, {"recall": 0.7}, None, {"recall": 0.5}), start=1):
        entry = {**folder, "id": f"two_tower_{version}", "version": version, "metrics": metrics, "modelRegistryId": 1}
        registry.models[f"two_tower_{version}"] = entry
    models = client.project.get_model_registry()
    assert models.get_best_model("two_tower", "recall", "max").version == 2
    assert models.get_best_model("two_tower", "recall", "min").version == 1
