"""Warnings of libraries are lines of the log; in a process of its own, as a test before may have redirected them."""

from __future__ import annotations

import json
import subprocess
import sys

_PROGRAM = """
import warnings
from consumer.logs import configure
from consumer.settings import LogSettings
configure(LogSettings(format="json"))
warnings.warn("soon\\ngone", DeprecationWarning, stacklevel=1)
"""


def test_warnings_of_libraries_are_lines() -> None:
    command = [sys.executable, "-W", "always", "-c", _PROGRAM]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    (line,) = map(json.loads, said.splitlines())
    assert "soon\ngone" in line["event"]
    assert line["level"] == "warning"
