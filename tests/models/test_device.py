"""The device of a trainer: settled by what there is and what is asked for, and on record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from consumer.cycles.warm_trainer import trainer_environment
from consumer.settings import Settings
from schemas.cycle import CycleKind, CycleRequest, Lineage, Outcome
from schemas.engine import Device
from tests.worlds import trainer_settings
from trainer.__main__ import _warm
from trainer.device import RECORDED, in_use, settle
from trainer.errors import NoDevice
from trainer.package import packages
from trainer.run import run_cycle

GPUS = tf.config.list_physical_devices("GPU")
without = pytest.mark.skipif(bool(GPUS), reason="there is a GPU here")


class Machine:
    """A TensorFlow on a machine with so many GPUs, all of which it may use at first."""

    __version__ = "9"

    def __init__(self, gpus: int) -> None:
        self.config = self.experimental = self
        self.gpus = [f"gpu {number}" for number in range(gpus)]
        self.visible, self.grows, self.short, self.deterministic = list(self.gpus), set[str](), True, False
        self.settled = 0
        self.computed = False

    def list_physical_devices(self, _kind: str) -> list[str]:
        return self.gpus

    def get_visible_devices(self, _kind: str) -> list[str]:
        return self.visible

    def set_visible_devices(self, gpus: list[str], _kind: str) -> None:
        if self.computed:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        self.visible = gpus
        self.settled += 1

    def get_memory_growth(self, gpu: str) -> bool:
        return gpu in self.grows

    def set_memory_growth(self, gpu: str, grows: bool) -> None:
        assert grows
        if self.computed:
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        self.grows.add(gpu)

    def enable_tensor_float_32_execution(self, allowed: bool) -> None:
        self.short = allowed

    def enable_op_determinism(self) -> None:
        self.deterministic = True

    def get_device_details(self, gpu: str) -> dict[str, Any]:
        return {"device_name": f"NVIDIA {gpu}"}


def machine(patch: pytest.MonkeyPatch, gpus: int) -> Machine:
    made = Machine(gpus)
    patch.setitem(sys.modules, "tensorflow", made)
    return made


@pytest.mark.parametrize("device", [Device.AUTO, Device.GPU])
def test_the_first_gpu_is_taken_in_full_precision_and_with_results_that_repeat(
    monkeypatch: pytest.MonkeyPatch, device: Device
) -> None:
    here = machine(monkeypatch, 2)
    for _ in range(2):
        assert settle(device) == in_use() == "NVIDIA gpu 0"
        assert here.visible == ["gpu 0"]
        assert here.grows == {"gpu 0"}
        assert here.deterministic
        assert not here.short
    assert here.settled == 1  # TensorFlow refuses a change once it has computed
    assert packages()[RECORDED] == "NVIDIA gpu 0"


@pytest.mark.parametrize(("gpus", "device"), [(2, Device.AUTO), (2, Device.GPU), (0, Device.AUTO), (0, Device.CPU)])
def test_a_trainer_that_has_warmed_up_may_still_be_told_its_device(
    monkeypatch: pytest.MonkeyPatch, gpus: int, device: Device
) -> None:
    """It warms up before it knows; where the processor is wanted it sees no GPU from its start on."""
    here = machine(monkeypatch, gpus)

    def computes() -> None:
        here.computed = True

    monkeypatch.setattr("trainer.warm.warm_up", computes)
    _warm()
    assert here.computed
    assert settle(device) == ("NVIDIA gpu 0" if gpus else None)


def test_a_trainer_that_is_to_use_the_processor_sees_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    seen = [trainer_environment(Settings(device=device))["CUDA_VISIBLE_DEVICES"] for device in Device]
    assert dict(zip(Device, seen, strict=True)) == {Device.AUTO: "1", Device.CPU: "-1", Device.GPU: "1"}


@pytest.mark.parametrize(("gpus", "device"), [(0, Device.AUTO), (0, Device.CPU), (2, Device.CPU)])
def test_else_it_is_the_processor_as_it_always_was(monkeypatch: pytest.MonkeyPatch, gpus: int, device: Device) -> None:
    here = machine(monkeypatch, gpus)
    assert settle(device) is None
    assert in_use() is None
    assert (here.visible, here.deterministic, here.short) == ([], False, True)
    assert here.settled == (1 if gpus else 0)
    assert RECORDED not in packages()


def test_a_gpu_that_is_asked_for_and_not_there_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(NoDevice, match=r"RETRAINER_DEVICE=gpu needs an NVIDIA driver .*sees none$"):
        settle(Device.GPU)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(NoDevice, match=r"CUDA_VISIBLE_DEVICES is '-1'"):
        settle(Device.GPU)


@without
def test_a_cycle_that_wants_a_gpu_fails_without_one_and_says_why(tmp_path: Path) -> None:
    settings = trainer_settings(tmp_path).model_copy(update={"device": Device.GPU})
    request = CycleRequest(
        cycle_id="c-1",
        kind=CycleKind.BOOTSTRAP,
        reason="a test",
        base_version=None,
        users=(),
        lineage=Lineage(offsets={}, changed_users=0),
        settings=settings,
    )
    result = run_cycle(request, lambda _progress: None, lambda: False)
    assert result is not None
    assert result.outcome is Outcome.FAILED
    assert "RETRAINER_DEVICE=gpu needs" in result.reason


@without
def test_what_the_doctor_asks_is_answered_in_json() -> None:
    told = subprocess.run([sys.executable, "-m", "trainer.device"], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout.splitlines()[-1]) == {"gpu": None, "multiplies_right": False}
