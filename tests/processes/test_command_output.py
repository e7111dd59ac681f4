"""What commands write as processes: to a reader who leaves, a full disk, a terminal without the characters, a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from consumer.environment import for_child
from consumer.ledger.ledger import open_ledger
from retrainer.demo.plan import Plan, as_shell
from tests.unit.retrainer.cli.test_output import fill


def run(command: str, folder: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RETRAINER_")}
    inherited.pop("COLUMNS", None)
    return subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; '{sys.executable}' -m retrainer.cli {command}"],
        env={**inherited, "RETRAINER_STATE_DIR": str(folder), **env},
        capture_output=True,
        check=False,
    )


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """The state folder of a ledger with many dead letters."""
    folder = tmp_path / "[blue]state[/]"
    with closing(open_ledger(f"sqlite:///{folder / 'ledger.db'}")) as ledger:
        fill(ledger, "no évent “x” [/b]", letters=3000)
    return folder


@pytest.mark.full
@pytest.mark.parametrize(
    "command", ["dead-letters list --limit 3000", "dead-letters list --limit 3000 --json", "--help"]
)
def test_a_reader_who_has_had_enough_is_no_failure(many: Path, command: str) -> None:
    ended = run(f"{command} | head -c 10", many, PYTHONUNBUFFERED="1")
    assert (ended.returncode, ended.stderr, len(ended.stdout)) == (0, b"", 10)


@pytest.mark.full
def test_an_output_that_cannot_be_written_or_is_closed_is_told_and_no_trace(many: Path) -> None:
    full = run("status > /dev/full", many)
    assert (full.returncode, full.stderr) == (1, b"retrainer: cannot write the output: No space left on device\n")
    closed = run("status >&-", many)
    assert (closed.returncode, closed.stderr) == (0, b"")


@pytest.mark.full
@pytest.mark.parametrize(
    "terminal", [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
)
def test_a_terminal_without_the_characters_gets_others(many: Path, terminal: dict[str, str]) -> None:
    ended = run("dead-letters list --limit 1", many, **terminal)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b'"x" [/b]' in ended.stdout  # a quote that it does not have is the one that it has


def test_a_command_ends_with_one_line_for_a_fault_and_a_line_for_each_of_several(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def complaints() -> list[str]:
        command = [sys.executable, "-m", "retrainer.cli", "status"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        return ended.stderr.splitlines()

    (tmp_path / "retrainer.toml").write_bytes(b"# gr\xf6\xdfe")
    monkeypatch.setenv("RETRAINER_CONFIG", str(tmp_path / "retrainer.toml"))
    (line,) = complaints()
    assert line.startswith("retrainer: wrong settings: ")
    monkeypatch.delenv("RETRAINER_CONFIG")
    monkeypatch.setenv("RETRAINER_GATE__DRAWS", "1")
    monkeypatch.setenv("RETRAINER_LOG__LEVEL", "loud")
    assert len(complaints()) == 3


def test_the_settings_can_be_read_by_a_shell(tmp_path: Path) -> None:
    settings = {**Plan(state=tmp_path).settings("127.0.0.1:4444"), "RETRAINER_ODD": 'it\'s "odd" $HOME'}
    file = tmp_path / "demo.env"
    file.write_text(as_shell(settings))
    shell = ["sh", "-c", f". '{file}'; env"]
    out = subprocess.run(shell, env=for_child(os.environ), capture_output=True, text=True, check=True).stdout
    assert {line for line in out.splitlines() if line.startswith("RETRAINER_")} == {
        f"{name}={value}" for name, value in settings.items()
    }
