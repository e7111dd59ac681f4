"""A virtual environment for Quix Streams alone, which pins an older pydantic-settings than ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.rows import NotMeasured

_CHECKOUT = Path(__file__).parents[2]
LOCK = _CHECKOUT / "requirements" / "quix.txt"
FOLDER = _CHECKOUT / ".venv-quix"


def quix_python(folder: Path = FOLDER) -> Path:
    """The interpreter of an environment that holds what the lock says, made where it is not there yet.

    Raises:
        NotMeasured: it cannot be made; the message says why.
    """
    python, ready = folder / "bin" / "python", folder / ".ready"
    locked = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not ready.exists() or ready.read_text() != locked:
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], [*pip, "-r", str(LOCK)]):
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode != 0:
                said = ran.stderr.strip().splitlines() or [f"ended with {ran.returncode}"]
                raise NotMeasured(f"{folder.name} cannot be made from requirements/{LOCK.name}: {said[-1]}")
        ready.write_text(locked)
    return python
