"""The image: what is in it, and what is not."""

from __future__ import annotations

import json
import logging
import subprocess
from typing import Any

import pytest

from tests.container.engine import Engine
from tests.container.images import IMAGE

log = logging.getLogger(__name__)


@pytest.fixture(scope="session")
def image(engine: Engine) -> dict[str, Any]:
    """Podman's record of the image."""
    found: dict[str, Any] = json.loads(engine.podman("image", "inspect", IMAGE).stdout)[0]
    log.info("the image has %.2f GB in %d layers", found["Size"] / 1e9, len(found["RootFS"]["Layers"]))
    return found


def once(engine: Engine, *command: str, entry: str | None = None) -> subprocess.CompletedProcess[str]:
    """One command in a container with nothing: no network, no volume, no rights, a read-only root."""
    entrypoint = ["--entrypoint", entry] if entry else []
    alone = (
        "run",
        "--rm",
        "--timeout",
        "60",
        "--network",
        "none",
        "--read-only",
        "--cap-drop",
        "all",
        *entrypoint,
        IMAGE,
    )
    return engine.podman(*alone, *command, check=False)


def test_it_runs_as_nobody_in_particular_and_says_how_to_stop_and_to_check_it(image: dict[str, Any]) -> None:
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["retrainer"]
    assert config["Cmd"] == ["run"]
    assert config["StopSignal"] == "SIGTERM"
    assert image["Healthcheck"]["Test"] == ["CMD", "python", "-m", "consumer.health"]


def test_no_build_tool_is_left(engine: Engine) -> None:
    script = "for tool in pip pip3 gcc cc g++ ld make git hatchling; do command -v $tool; done; echo looked"
    assert once(engine, "-c", script, entry="sh").stdout == "looked\n"


def test_no_python_in_it_can_install(engine: Engine) -> None:
    """Neither that of the service nor the one it was made from."""
    script = (
        "for python in python $(python -c 'import sys; print(sys._base_executable)'); do"
        ' for module in pip ensurepip hatchling; do $python -c "import $module"; done; done'
    )
    done = once(engine, "-c", script, entry="sh")
    assert done.stderr.count("ModuleNotFoundError") == 6, done.stderr


def test_everything_imports_on_a_read_only_root(engine: Engine) -> None:
    done = once(engine, "-c", "import consumer.service, trainer.cycle, tensorflow", entry="python")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("nonsense", 2)])
def test_the_command_line_is_the_entry_point(engine: Engine, argument: str, status: int) -> None:
    assert once(engine, argument).returncode == status
