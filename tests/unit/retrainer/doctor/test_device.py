"""What the doctor says of the device that trainers multiply with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from consumer.settings import Settings
from retrainer.doctor.checks import Finding, Severity
from retrainer.doctor.device import device_check, judged
from schemas.engine import Device, MiningEngine


def found(folder: Path, device: Device, driver: str = "none") -> Finding:
    return device_check(Settings(state_dir=folder, device=device), (folder / driver,)).look()


@pytest.mark.parametrize(
    ("device", "severity", "said"),
    [
        (Device.AUTO, Severity.OK, "the processor: no driver for a GPU is here"),
        (Device.CPU, Severity.OK, "the processor, as RETRAINER_DEVICE=cpu says"),
        (Device.GPU, Severity.FAILED, "RETRAINER_DEVICE=gpu, but no driver for a GPU is here"),
    ],
)
def test_without_a_driver_tensorflow_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Device, severity: Severity, said: str
) -> None:
    monkeypatch.delattr(subprocess, "run")
    told = found(tmp_path, device)
    assert (told.severity, told.found) == (severity, said)


@pytest.mark.parametrize(
    ("device", "answer", "severity", "said"),
    [
        (Device.AUTO, {"gpu": "NVIDIA L4", "multiplies_right": True}, Severity.OK, "NVIDIA L4, for pairs and fit"),
        (Device.AUTO, {"gpu": None, "multiplies_right": False}, Severity.WARNING, "can use no GPU here"),
        (Device.GPU, {"gpu": None, "multiplies_right": False}, Severity.FAILED, "can use no GPU here"),
        (Device.AUTO, {"gpu": "NVIDIA L4", "multiplies_right": False}, Severity.WARNING, "the processor mines"),
        (Device.AUTO, None, Severity.FAILED, "TensorFlow ended with 7: no such library"),
    ],
)
def test_with_a_driver_tensorflow_says_what_it_can_use(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: Device,
    answer: dict[str, object] | None,
    severity: Severity,
    said: str,
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        out = "a library speaks\n" + json.dumps(answer) if answer else ""
        return subprocess.CompletedProcess(command, 0 if answer else 7, out, "a warning\nno such library\n")

    (tmp_path / "driver").touch()
    monkeypatch.setattr(subprocess, "run", run)
    told = found(tmp_path, device, "driver")
    assert told.severity is severity
    assert said in told.found
    assert (told.todo is None) is (severity is Severity.OK)


def test_on_a_ray_cluster_the_gpu_fits_alone(tmp_path: Path) -> None:
    told = judged(Settings(state_dir=tmp_path, engine=MiningEngine.RAY), "NVIDIA L4", multiplies_right=True)
    assert told.found == "NVIDIA L4, for the fit; Ray's nodes mine with their processors"
