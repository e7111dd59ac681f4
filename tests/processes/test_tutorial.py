"""docs/tutorial.md: its commands run as they stand there, in one shell, from the first to the last."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
PORT = "19092"
SET_UP = "make setup\nsource .venv/bin/activate\n"
"""The one block that is left out: the tests run in what it makes."""

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> str:
    first, *others = BLOCK.findall(PAGE.read_text())
    assert first == SET_UP
    return "".join(others)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_the_page_has_commands_and_names_one_port() -> None:
    assert len(BLOCK.findall(PAGE.read_text())) >= 8
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", commands())) == {PORT}


@pytest.mark.full
def test_the_commands_of_the_tutorial_run_as_they_stand_there(tmp_path: Path) -> None:
    """On a port that is free here; `retrainer` and `python` are those of the tests."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in {"python": sys.executable, "retrainer": f"{sys.executable} -m retrainer.cli"}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
    script = commands().replace(PORT, free_port())
    # What the tutorial starts ends with the shell, also where a command in between fails.
    shell = f"set -e\ntrap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n{script}\ntrap - EXIT\n"
    environment = {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=800
    )
    log = tmp_path / "var" / "tutorial" / "service.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-3000:] if log.exists() else "")
    said = done.stdout
    assert '"title": "1,000 listeners"' in said
    assert re.search(r"^1 \* +bootstrap", said, re.MULTILINE)
    assert re.search(r"^2 \* +incremental +1 ", said, re.MULTILINE)
    assert "two_tower_model.keras" in said
    assert re.search(r"\[\[0\.\d+ *\]\n \[0\.\d+ *\]\]", said)
    assert "Invalid JSON" in said
    assert (tmp_path / "var" / "tutorial" / "ledger.db").exists()
