"""Processes that have loaded TensorFlow end at once, and as whoever started them expects."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.project.code import ROOT

_SETUP = """
import atexit, sys, threading
from trainer.process_end import run_to_end

class Slow:
    def __del__(self):
        print("taken apart")

kept = Slow()
atexit.register(print, "handler")
threading.Thread(target=threading.Event().wait, daemon=True).start()  # a library's
"""


def ended(main: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"{_SETUP}\n{main}"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("code", [0, 1, 75])
def test_it_ends_with_the_code_after_the_exit_handlers_and_takes_nothing_apart(code: int) -> None:
    ran = ended(f"def main():\n    print('worked')\n    return {code}\nrun_to_end(main)")
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "worked\nhandler\n", "")


def test_nobody_who_reads_is_no_trouble() -> None:
    assert ended("import os\ndef main():\n    os.close(1)\n    return 0\nrun_to_end(main)").returncode == 0


def test_what_main_raises_is_told_as_ever() -> None:
    ran = ended("def main():\n    raise RuntimeError('broken')\nrun_to_end(main)")
    assert ran.returncode == 1
    assert ran.stdout == "handler\ntaken apart\n"
    assert "RuntimeError: broken" in ran.stderr
