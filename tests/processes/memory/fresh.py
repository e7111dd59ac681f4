"""Figures that a fresh process tells of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def told(program: str, *arguments: str) -> Any:
    """What a program says as JSON, in a process of its own."""
    command = [sys.executable, "-c", program, *arguments]
    ran = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False, timeout=100
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)
