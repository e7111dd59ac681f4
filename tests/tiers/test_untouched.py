"""A file that a test leaves in the checkout is told, and fails the run where that is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.untouched import files_of_nobody

ROOT = Path(__file__).parents[2]
LITTER = "import pathlib, pytest\n\ndef test_it():\n    pathlib.Path(__file__).with_name('left.txt').touch()\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the plugin, and a test that leaves a file beside itself."""
    for folder in ("plugin", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "plugin" / "untouched.py").write_bytes((ROOT / "tests" / "untouched.py").read_bytes())
    (tmp_path / "tests" / "test_litter.py").write_text(LITTER)
    (tmp_path / ".gitignore").write_text("ignored\n__pycache__\n.pytest_cache\n")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(("wanted", "code"), [("0", 0), ("1", 1)])
def test_what_a_test_leaves_is_told(checkout: Path, wanted: str, code: int) -> None:
    (checkout / "mine.txt").touch()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "plugin.untouched", "tests"]
    ours = {**os.environ, "REQUIRE_UNTOUCHED": wanted, "PYTHONPATH": str(checkout)}
    ran = subprocess.run(command, cwd=checkout, env=ours, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "tests/left.txt: a test has left this behind" in ran.stdout
    assert "mine.txt" not in ran.stdout


def test_ignored_files_are_nobody_s_business(checkout: Path) -> None:
    (checkout / "ignored").touch()
    assert files_of_nobody(checkout) == frozenset()
    (checkout / "näme").touch()
    assert files_of_nobody(checkout) == {"näme"}


def test_without_git_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert files_of_nobody(tmp_path) == frozenset()
