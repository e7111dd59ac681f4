"""A shell completes commands, options, and what an option takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("st", ["status"]),
        ("dead-letters ", ["list", "show", "replay", "discard"]),
        ("import --del", ["--delete-missing"]),
        ("train --accept refused_", ["refused_share", "refused_labels"]),
    ],
)
def test_what_bash_offers(words: str, completed: list[str]) -> None:
    asked = {
        "_RETRAINER_COMPLETE": "complete_bash",
        "COMP_WORDS": f"retrainer {words}",
        "COMP_CWORD": str(1 + words.count(" ")),
    }
    called = "import sys; sys.argv[0] = 'retrainer'; from retrainer.cli import main; main()"
    command = [sys.executable, "-c", called]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == completed
    assert "Traceback" not in done.stderr
