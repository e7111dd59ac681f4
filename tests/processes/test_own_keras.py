"""What the machine's user has set for Keras changes no model of ours."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from schemas.manifest import MODEL_FILE
from stores.registry.local import LocalModelRegistry
from tests.integration.loop.test_trainer_process import bootstrap
from trainer.learning.training_state import state
from trainer.model import load

ROOT = Path(__file__).parents[2]
HOSTILE = {
    "floatx": "float64",
    "epsilon": 0.5,
    "backend": "jax",
    "image_data_format": "channels_first",
    "nnx_enabled": True,
}
OURS = ["tensorflow", "float32", 1e-07, "channels_last", None, None, "float32"]
_ASKED = """
import json, keras
layer = keras.layers.Dense(1)
c = keras.config
print(json.dumps([c.backend(), c.floatx(), c.epsilon(), c.image_data_format(), c.max_epochs(),
                  c.max_steps_per_epoch(), layer.dtype_policy.name]))
"""


def hostile(folder: Path, backend: str = "torch") -> dict[str, str]:
    """An environment in which Keras is set in every way that it knows, in variables and in two files."""
    for home in (folder / "home" / ".keras", folder / "keras"):
        home.mkdir(parents=True)
        (home / "keras.json").write_text(json.dumps(HOSTILE))
    return {
        **os.environ,
        "HOME": str(folder / "home"),
        "KERAS_HOME": str(folder / "keras"),
        "KERAS_BACKEND": backend,
        "KERAS_MAX_EPOCHS": "1",
        "KERAS_MAX_STEPS_PER_EPOCH": "1",
        "KERAS_NNX_ENABLED": "true",
        "TF_USE_LEGACY_KERAS": "1",
        "PYTHONPATH": str(ROOT),
    }


def asked(first: str, environment: dict[str, str]) -> list[object]:
    ran = subprocess.run(
        [sys.executable, "-c", first + _ASKED], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: list[object] = json.loads(ran.stdout.splitlines()[-1])
    return found


def files(folder: Path) -> dict[Path, bytes]:
    """What lies in a folder, but for what Matplotlib keeps where it is installed: the SDK of Hopsworks imports it."""
    every = (path for path in folder.rglob("*") if path.is_file() and "matplotlib" not in path.parts)
    return {path: path.read_bytes() for path in every}


@pytest.mark.full
@pytest.mark.parametrize(
    ("first", "backend"), [("import trainer.learning.loss", "jax"), ("import benchmarks", "openvino")]
)
def test_neither_files_nor_variables_of_others_reach_keras(tmp_path: Path, first: str, backend: str) -> None:
    assert asked(first, hostile(tmp_path, backend)) == OURS


@pytest.mark.full
def test_a_hostile_machine_does_not_reach_the_trainer(tmp_path: Path) -> None:
    environment = hostile(tmp_path)
    before = files(tmp_path)
    assert asked("import trainer.__main__, trainer.run", environment) == OURS
    assert files(tmp_path) == before


@pytest.mark.full
def test_keras_that_was_imported_first_is_set_right(tmp_path: Path) -> None:
    environment = {**hostile(tmp_path), "KERAS_BACKEND": "tensorflow"}
    environment.pop("KERAS_NNX_ENABLED")
    for file in tmp_path.rglob("keras.json"):
        file.write_text(json.dumps({**HOSTILE, "nnx_enabled": False}))
    assert asked("import keras, trainer", environment) == OURS


@pytest.mark.full
def test_a_trainer_makes_the_same_model_on_a_hostile_machine(tmp_path: Path) -> None:
    weights = []
    for name, environment in {"clean": dict(os.environ), "hostile": hostile(tmp_path, "jax")}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "request.json").write_text(bootstrap(folder, epochs=2).model_dump_json())
        ran = subprocess.run(
            [sys.executable, "-m", "trainer", str(folder / "request.json")],
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
        registered = LocalModelRegistry(folder / "registry", "two_tower_recommender").fetch(1)
        weights.append(state(load(registered / MODEL_FILE)))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.full
@pytest.mark.parametrize("before", ["", "import pandas, matplotlib.pyplot; "])
def test_keras_is_loaded_without_what_it_imports_for_others_and_nobody_else_misses_it(before: str) -> None:
    told = "import sys; from trainer.own_keras import load_keras; load_keras(); import trainer.run"
    seen = "print([name in sys.modules for name in ('keras', 'pandas', 'matplotlib')])"
    after = "import pandas, matplotlib.pyplot; print(pandas.DataFrame({'a': [1]}).size)"
    ran = subprocess.run(
        [sys.executable, "-c", f"{before}{told}; {seen}; {after}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines() == [str([True, bool(before), bool(before)]), "1"], ran.stderr[-2000:]


def test_the_tests_themselves_run_with_ours() -> None:
    assert Path(os.environ["KERAS_HOME"]) == ROOT / "trainer" / "keras_home"
    assert (keras.config.backend(), keras.config.floatx()) == ("tensorflow", "float32")


@pytest.mark.full
def test_every_room_that_imports_keras_imports_the_trainer_first() -> None:
    """Packages do so in their `__init__`, the tests in their conftest."""
    rooms = {
        path.relative_to(ROOT).parts[0]
        for room in ("consumer", "schemas", "trainer", "benchmarks", "tests")
        for path in (ROOT / room).rglob("*.py")
        if _imported(path) & {"keras", "tensorflow"}
    }
    assert rooms == {"trainer", "benchmarks", "tests"}
    assert "trainer" in _imported(ROOT / "benchmarks" / "__init__.py")
    assert "trainer" in _imported(ROOT / "tests" / "__init__.py")


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found
