"""TensorFlow Serving gets the registered model's figures, warm-up requests that it can run, and whole folders only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.cycle import CycleKind, TrainerSettings
from schemas.hopsworks import HopsworksDeployment
from schemas.jobs.saved_model import SIGNATURES, WARM_UP_FILE, Exported, ExportRequest
from schemas.manifest import CANDIDATE_TOWER_FILE, MODEL_FILE, QUERY_TOWER_FILE, SAVED_MODEL_FILE
from stores.errors import RegistryError
from stores.registry.files import read_manifest
from tests.models.export.prediction_log import PredictionLog
from tests.models.export.registered import manifest_of, raw_rows, registered
from tests.models.test_cycle import Bench
from trainer.errors import ExportError
from trainer.export.export import export
from trainer.export.placing import note_in
from trainer.matrix.scaling import to_directions
from trainer.serving.rows import drawn_rows
from trainer.serving.warm_up import BATCHES

MODEL = "two_tower_recommender"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrainerSettings:
    return registered(tmp_path_factory.mktemp("registered"), versions=3)


@pytest.fixture(scope="module")
def exported(settings: TrainerSettings) -> Path:
    export(ExportRequest(settings=settings, version=2, out=(out := settings.work_dir / "served")), lambda _step: None)
    return out / MODEL / "2"


@pytest.mark.full
def test_another_process_without_keras_gets_the_figures_of_the_registered_model(
    settings: TrainerSettings, exported: Path, tmp_path: Path
) -> None:
    rows = {"query": raw_rows(50, seed=4), "candidate": raw_rows(50, seed=5)}
    rows["query"][0] = 0.0  # somebody of whom nothing is known
    np.savez(tmp_path / "rows.npz", query=rows["query"], candidate=rows["candidate"])
    script = Path(__file__).with_name("run_elsewhere.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    arguments = [str(exported), str(tmp_path / "rows.npz"), str(tmp_path / "answers.npz")]
    subprocess.run([sys.executable, str(script), *arguments], check=True, env=environment, cwd=tmp_path)
    found = np.load(tmp_path / "answers.npz")
    registry = settings.work_dir.parent / "registry" / MODEL / "2"
    whole, query, candidate = (
        keras.models.load_model(registry / name) for name in (MODEL_FILE, QUERY_TOWER_FILE, CANDIDATE_TOWER_FILE)
    )
    wanted: dict[str, Any] = {
        "serving_default/probability": whole([rows["query"], rows["candidate"]]),
        "query/embedding": query(rows["query"]),
        "candidate/embedding": candidate(rows["candidate"]),
    }
    assert set(found) == set(wanted)
    for name, answer in wanted.items():
        np.testing.assert_allclose(found[name], answer, rtol=0, atol=1e-6, err_msg=name)


def test_the_warm_up_is_read_as_the_messages_of_tensorflow_serving_and_can_be_run(exported: Path) -> None:
    served, asked = tf.saved_model.load(str(exported)), []
    for record in tf.data.TFRecordDataset(str(exported / WARM_UP_FILE)):
        log = PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == MODEL
        signature = request.model_spec.signature_name
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        answer = served.signatures[signature](**inputs)
        assert (tuple(sorted(inputs)), tuple(answer)) == (
            tuple(sorted(SIGNATURES[signature][0])),
            (SIGNATURES[signature][1],),
        )
        size = {len(rows) for rows in inputs.values()} | {len(rows) for rows in answer.values()}
        assert len(size) == 1
        asked.append((signature, *size))
    assert asked == [(signature, size) for signature in SIGNATURES for size in BATCHES]


def test_an_interrupted_export_leaves_nothing_that_looks_like_a_version_and_the_next_one_succeeds(
    settings: TrainerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ExportRequest(settings=settings, version=1, out=tmp_path)

    def fails(*_given: Any) -> int:
        assert [path.name for path in (tmp_path / MODEL).iterdir() if not path.name.startswith(".")] == []
        raise OSError("no room is left")

    with monkeypatch.context() as patched:
        patched.setattr("trainer.export.export.write_warm_up", fails)
        with pytest.raises(OSError, match="no room is left"):
            export(request, lambda _step: None)
    (tmp_path / MODEL / ".incoming-1").mkdir()  # as a killed writer leaves it
    (tmp_path / MODEL / ".incoming-1" / "saved_model.pb").write_text("half of it")
    assert export(request, lambda _step: None).version == 1
    assert sorted(path.name for path in (tmp_path / MODEL).iterdir()) == [".lock", "1"]
    assert note_in(tmp_path / MODEL / "1") == export(request, lambda _step: None)  # a repetition finds it


@pytest.mark.full
def test_the_version_that_is_to_be_served_is_the_highest(settings: TrainerSettings, tmp_path: Path) -> None:
    def served(version: int, keep: int | None = None) -> list[str]:
        export(ExportRequest(settings=settings, version=version, out=tmp_path, highest=True, keep=keep), lambda _: None)
        return sorted(path.name for path in (tmp_path / MODEL).glob("[0-9]*"))

    assert [served(1), served(2), served(3)] == [["1"], ["1", "2"], ["1", "2", "3"]]
    assert served(2) == ["1", "2"]  # a rollback
    assert served(3, keep=1) == ["2", "3"]
    (tmp_path / MODEL / "7").mkdir()
    with pytest.raises(ExportError, match="7 is not of Retrainer"):
        served(3)


def test_a_place_that_is_taken_is_left_as_it_is(settings: TrainerSettings, tmp_path: Path) -> None:
    place = tmp_path / MODEL / "1"
    (place / "assets.extra").mkdir(parents=True)
    request = ExportRequest(settings=settings, version=1, out=tmp_path)
    with pytest.raises(ExportError, match="1 is not of Retrainer"):
        export(request, lambda _step: None)
    other = Exported(model_name=MODEL, version=1, cycle_id="c9", warm_up_requests=9, warm_up_rows="drawn")
    (place / "assets.extra" / "retrainer.json").write_text(other.model_dump_json())
    with pytest.raises(ExportError, match="1 is of cycle c9"):
        export(request, lambda _step: None)


def test_without_rows_in_the_store_the_warm_up_draws_some(tmp_path: Path) -> None:
    told: list[str] = []
    settings = registered(tmp_path, users=0)
    found = export(ExportRequest(settings=settings, version=1, out=tmp_path / "out"), told.append)
    assert found.warm_up_rows == "drawn"
    assert any("warming up with drawn rows" in line for line in told)
    manifest = manifest_of("c1")
    directions = to_directions(
        manifest.space, manifest.feature_group, drawn_rows(manifest.space, manifest.feature_group)
    )
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-5)


def test_a_version_that_is_not_there(settings: TrainerSettings, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="has no version 9"):
        export(ExportRequest(settings=settings, version=9, out=tmp_path / "out"), lambda _step: None)
    assert not (tmp_path / "out").exists()


@pytest.mark.full
def test_a_cycle_registers_a_saved_model_where_a_deployment_serves_the_versions(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    deployment = HopsworksDeployment(name="recommender")
    settings = bench.settings.model_copy(update={"deployment": deployment})
    result = bench.run(bench.request("c1", CycleKind.BOOTSTRAP, settings=settings))
    assert result.version == 1
    folder = bench.registry.fetch(1)
    served, rows = tf.saved_model.load(str(folder)), raw_rows(20, seed=6)
    (found,) = served.signatures["query"](features=tf.constant(rows)).values()
    np.testing.assert_allclose(found, keras.models.load_model(folder / QUERY_TOWER_FILE)(rows), rtol=0, atol=1e-6)
    assert (folder / WARM_UP_FILE).is_file()
    assert {SAVED_MODEL_FILE, WARM_UP_FILE} <= {file.path for file in read_manifest(folder).files}
