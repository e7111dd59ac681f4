"""Keras with the configuration of this project, whatever the machine's user has set for other programs.

At its import Keras reads backend, number type, epsilon and image format from `~/.keras/keras.json` and from environment
variables; TensorFlow imports Keras, too. So the package `trainer` calls `keep_others_out` before either is imported. A
model must not depend on the user who started the service, and a service needs no home folder.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

_HOME = Path(__file__).parent / "keras_home"
_LEGACY = "TF_USE_LEGACY_KERAS"
_NOT_FOR_US = ("matplotlib", "pandas")
"""What Keras imports if it is there, for galleries of pictures and for tables: a second of a start, and 90 MB."""


def keep_others_out() -> None:
    """Make Keras take its configuration from our folder alone; a Keras that is imported already is reconfigured.

    Raises:
        RuntimeError: Keras is imported already with another backend than TensorFlow, which cannot be changed.
    """
    for name in [name for name in os.environ if name.startswith("KERAS_") or name == _LEGACY]:
        del os.environ[name]
    os.environ["KERAS_HOME"] = str(_HOME)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if (keras := sys.modules.get("keras")) is not None and hasattr(keras, "config"):
        _set_right(keras)


def load_keras() -> None:
    """Import Keras, and not what it imports for others; whoever needs that imports it afterwards as usual."""
    away = [name for name in _NOT_FOR_US if name not in sys.modules]
    sys.modules.update(dict.fromkeys(away))  # type: ignore[arg-type]  # None: there is no such module
    try:
        import_module("keras")
    finally:
        for name in away:
            del sys.modules[name]


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
