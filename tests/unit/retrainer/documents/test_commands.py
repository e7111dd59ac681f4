"""docs/cli.md: current, complete, and as readable as its commands declare themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
import typer
import typer.main

from retrainer.cli import COMMANDS, app
from retrainer.documents import commands
from retrainer.documents.page import write_or_check
from tests.commands import call


def entry(path: str) -> str:
    return re.split(rf"^#+ retrainer {path}$", commands.page(), flags=re.MULTILINE)[1].split("\n#")[0]


def test_the_page_is_current() -> None:
    assert commands.main(["--check"]) == 0, "docs/cli.md is not what the commands are; `make schemas` writes it"


def test_every_command_and_every_option_that_the_command_line_takes_is_listed() -> None:
    """Held against what typer itself takes, which the page does not ask."""
    page = commands.page()
    group = typer.main.get_command(app)
    for name in COMMANDS:
        command = group.get_command(None, name)  # type: ignore[attr-defined]
        inner = command.list_commands(None) if hasattr(command, "list_commands") else [""]
        for one in inner:
            single = command.get_command(None, one) if one else command
            told = entry(f"{name} {one}".strip())
            for param in single.params:
                for option in (*param.opts, *param.secondary_opts) if param.param_type_name == "option" else ():
                    assert option == "--help" or f"`{option}`" in told, f"{name} {one} {option}"
    assert page.count("\n### retrainer ") == len(COMMANDS)


def test_an_option_says_what_it_takes_its_default_and_its_meaning() -> None:
    assert "| `--limit` | whole number, at least 1 | `50` | How many, newest first. |" in entry("dead-letters list")
    assert "| `--status` | `open`, `replayed`, `discarded`, `all` | `open` | Only of this. |" in entry(
        "dead-letters list"
    )
    assert "| `--map` | `NAME=COLUMN`, several times |" in entry("import")
    assert "| `--reason` | text | needed |" in entry("promote")
    assert "    retrainer dead-letters replay [OPTIONS] [ID]...\n" in entry("dead-letters replay")
    assert "    retrainer promote [OPTIONS] VERSION\n" in entry("promote")


def test_hidden_parameters_are_not_shown() -> None:
    def command(
        seen: Annotated[int, typer.Argument()], unseen: Annotated[bool, typer.Option("--unseen", hidden=True)] = False
    ) -> None:
        """Do something."""

    assert [one.name for one in commands.parameters(command)] == ["seen"]


def test_a_command_that_is_in_no_part_of_the_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "new", "retrainer.cli.run:run")
    with pytest.raises(ValueError, match="new"):
        commands.page()


def test_a_page_that_is_not_current_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in (None, "old"):
        if text is not None:
            (tmp_path / "x.md").write_text(text)
        assert write_or_check("x.md", lambda: "new", ["--check"], docs=tmp_path) == 1
        assert "make schemas" in capsys.readouterr().err
    assert write_or_check("x.md", lambda: "new", [], docs=tmp_path) == 0
    assert write_or_check("x.md", lambda: "new", ["--check"], docs=tmp_path) == 0


def test_the_release_is_told() -> None:
    assert re.fullmatch(r"retrainer (\d+\.\d+\.\d+\S*|, of a checkout that is not installed)\n", call("--version").out)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("rolback",), "did you mean rollback"),
        (("dead-letters", "lst"), "Did you mean 'list'"),
        (("status", "--jsn"), "--json"),
        (("init", "fils"), "'files', 'kafka', 'hopsworks'"),
    ],
)
def test_what_is_misspelt_is_answered_with_what_looks_like_it(arguments: tuple[str, ...], meant: str) -> None:
    called = call(*arguments)
    assert called.code == 2
    assert meant in called.err
