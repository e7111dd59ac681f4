"""The device that trainers multiply with: a GPU where there is one, else the processor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from consumer.cycles.warm_trainer import trainer_environment
from consumer.settings import Settings
from retrainer.doctor.checks import Check, Finding, failed, ok, warning
from retrainer.doctor.context import CheckContext
from schemas.engine import Device, MiningEngine

NAME = "device"

_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))
"""What a driver for GPUs makes: NVIDIA's, that of Windows' subsystem for Linux, AMD's."""
_STARTS = 40.0  # seconds: TensorFlow is loaded in a process of its own
_LIBRARIES = "pip install 'tensorflow[and-cuda]', or set RETRAINER_DEVICE=cpu"
_SLOW = "look again when the machine is less busy; `python -m trainer.device` asks the same"


def device_check(settings: Settings, drivers: tuple[Path, ...] = _DRIVERS) -> Check:
    """With what trainers here multiply. TensorFlow is asked only where there is a driver for GPUs."""
    return Check(NAME, lambda: _device(settings, drivers), deadline=_STARTS, todo=_SLOW)


def device_checks(context: CheckContext) -> list[Check]:
    """The same for the doctor's settings."""
    return [device_check(context.settings)]


def _device(settings: Settings, drivers: tuple[Path, ...]) -> Finding:
    if settings.device is Device.CPU:
        return ok("the processor, as RETRAINER_DEVICE=cpu says")
    if not any(driver.exists() for driver in drivers):
        if settings.device is Device.GPU:
            return failed("RETRAINER_DEVICE=gpu, but no driver for a GPU is here", "install it, or set auto or cpu")
        return ok("the processor: no driver for a GPU is here")
    asked = subprocess.run(
        [sys.executable, "-m", "trainer.device"],
        capture_output=True,
        text=True,
        check=False,
        timeout=_STARTS,
        env={**trainer_environment(settings), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        said = json.loads(asked.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (asked.stderr.strip().splitlines() or ["no word"])[-1]
        return failed(f"TensorFlow ended with {asked.returncode}: {last}", _LIBRARIES)
    return judged(settings, said["gpu"], said["multiplies_right"])


def judged(settings: Settings, gpu: str | None, multiplies_right: bool) -> Finding:
    """The finding, by what TensorFlow said: the name of its GPU, and whether products there are within their error."""
    if gpu is None:
        found = "TensorFlow can use no GPU here, though there is a driver"
        if settings.device is Device.GPU:
            return failed(f"RETRAINER_DEVICE=gpu, but {found}", _LIBRARIES)
        return warning(f"the processor: {found}", _LIBRARIES)
    if not multiplies_right:
        todo = "report it, with the card's name and driver; RETRAINER_DEVICE=cpu leaves the fit to the processor, too"
        return warning(f"{gpu} fits; its products are not within the error of TF32, so the processor mines", todo)
    mines = (
        "the fit; Ray's nodes mine with their processors" if settings.engine is MiningEngine.RAY else "pairs and fit"
    )
    return ok(f"{gpu}, for {mines}")
