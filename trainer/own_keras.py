"""Keras as this project has it, whatever the machine's user has set for other programs.

Keras reads its backend, number type, epsilon and image format from `~/.keras/keras.json` and from variables, when it is
imported; TensorFlow imports it too. So the package `trainer` calls this before anything of it can do so. A model must
not depend on who started the service, and a service needs no home folder.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType

_HOME = Path(__file__).parent / "keras_home"
_LEGACY = "TF_USE_LEGACY_KERAS"


def keep_others_out() -> None:
    """Have Keras take its configuration from our folder alone; where it is imported already, set that right.

    Raises:
        RuntimeError: it is imported already, with another backend than TensorFlow, which cannot be changed any more.
    """
    for name in [name for name in os.environ if name.startswith("KERAS_") or name == _LEGACY]:
        del os.environ[name]
    os.environ["KERAS_HOME"] = str(_HOME)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if (keras := sys.modules.get("keras")) is not None and hasattr(keras, "config"):
        _set_right(keras)


def _set_right(keras: ModuleType) -> None:
    if (backend := keras.config.backend()) != "tensorflow":
        raise RuntimeError(
            f"Keras was imported with the backend {backend}; import `trainer` first, which wants TensorFlow"
        )
    ours = json.loads((_HOME / "keras.json").read_text())
    keras.config.set_floatx(ours["floatx"])
    keras.config.set_epsilon(ours["epsilon"])
    keras.config.set_image_data_format(ours["image_data_format"])
    keras.config.set_dtype_policy(ours["floatx"])
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)
