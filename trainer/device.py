"""The device that a trainer multiplies with: a GPU where there is one that TensorFlow can use, else the processor.

It is settled once, before anything is computed. On a GPU float32 is multiplied in full, not in TF32, by default 13 bits
shorter, and operations are those whose results do not vary from run to run; mining alone takes TF32, whose error is in
its bounds (`trainer.pairs.precision`).

    python -m trainer.device

prints, as JSON, the GPUs that TensorFlow can use here, and whether they multiply as mining expects of them.
"""

from __future__ import annotations

import json
import os
import sys

from schemas.engine import Device
from trainer.errors import NoDevice

RECORDED = "gpu"
"""Under this name the GPU that made a version is recorded, among the packages that did."""

_WAY_OUT = (
    "needs an NVIDIA driver that `nvidia-smi` finds and the CUDA libraries (pip install 'tensorflow[and-cuda]'), or "
    "RETRAINER_DEVICE=auto, which takes the processor where there is no GPU"
)


def settle(device: Device) -> str | None:
    """Have TensorFlow compute on `device` from now on; the name of the GPU, or None where there is none in use.

    It has to be called before TensorFlow has computed anything where there are GPUs: TensorFlow refuses a change
    afterwards. Again with the same device, or with `gpu` after `auto`, it changes nothing. A process that may compute
    before it knows the device is started with no GPU in sight where the processor is wanted
    (`consumer.cycles.warm_trainer`).

    Raises:
        NoDevice: a GPU is asked for, and TensorFlow can use none.
    """
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if device is Device.GPU and not found:
        raise NoDevice(f"RETRAINER_DEVICE=gpu {_WAY_OUT}: TensorFlow {tf.__version__} sees none{_hidden()}")
    wanted = [] if device is Device.CPU else found[:1]
    if tf.config.get_visible_devices("GPU") != wanted:
        tf.config.set_visible_devices(wanted, "GPU")
    if not wanted:
        return None
    if not tf.config.experimental.get_memory_growth(wanted[0]):
        tf.config.experimental.set_memory_growth(wanted[0], True)  # others compute there, too
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.experimental.enable_op_determinism()
    return name_of(wanted[0])


def in_use() -> str | None:
    """The name of the GPU that this process computes on; None where that is the processor."""
    tf = sys.modules.get("tensorflow")
    visible = tf.config.get_visible_devices("GPU") if tf is not None else []
    return name_of(visible[0]) if visible else None


def name_of(gpu: object) -> str:
    """The name of a GPU of TensorFlow, such as NVIDIA L4."""
    import tensorflow as tf

    return str(tf.config.experimental.get_device_details(gpu).get("device_name", "a GPU without a name"))


def _hidden() -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if hidden is None else f", and CUDA_VISIBLE_DEVICES is {hidden!r} in its environment"


def main() -> int:
    """Print what there is."""
    gpu = settle(Device.AUTO)
    right = False
    if gpu is not None:
        from trainer.pairs.hardware import accelerator

        right = accelerator() is not None
    print(json.dumps({"gpu": gpu, "multiplies_right": right}))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
