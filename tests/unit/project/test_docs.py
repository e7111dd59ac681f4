"""What the documents name is there: links, files, tests, commands and their options, make targets, settings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from consumer.configuration.names import PREFIX, known_of
from consumer.settings import Settings
from retrainer.cli import app
from tests.unit.project.code import ROOMS, ROOT
from tests.unit.project.pages import PAGES, anchors, code, links, named

PAGE = pytest.mark.parametrize("page", PAGES, ids=named)

NO_SETTINGS = {
    "RETRAINER_CONFIG",  # names the TOML file
    "RETRAINER_X",  # stands for any setting
    "RETRAINER_KAFKA_PORT",  # of Kubernetes, for a service that is called retrainer-kafka
    "RETRAINER_PAGE_PORT",  # of the compose file
    "RETRAINER_PID",  # of somebody else
    "RETRAINER_CONTAINER_TESTS",  # of make test-container
    "RETRAINER_SECRETS",  # of the compose file
    "RETRAINER_PROMETHEUS_PORT",
    "RETRAINER_GRAFANA_PORT",
    "RETRAINER_CACHE",  # of make test-container
    "RETRAINER_GATE__DRIFT_MARGIN",  # was one, as the changelog says
}


@PAGE
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = page.parent / path if path else page
        assert target.exists(), f"{named(page)} links to {path}"
        if anchor:
            assert anchor in anchors(target), f"{named(page)} links to #{anchor} of {path or named(page)}"


@PAGE
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    rooms = "|".join((*ROOMS, "tests", "benchmarks", "docs", "requirements"))
    for line, piece in code(page):
        for path in re.findall(rf"(?<![\w/.])((?:{rooms})/[\w/.-]*\w)", piece):
            assert (ROOT / path).exists(), f"{named(page)}:{line} names {path}"


@PAGE
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    for line, piece in code(page):
        for dotted in re.findall(
            rf"(?:^|python -m )((?:{'|'.join((*ROOMS, 'tests', 'benchmarks'))})(?:\.\w+)+)", piece
        ):
            parts = dotted.split(".")
            there = [ROOT.joinpath(*parts[:n]) for n in (len(parts), len(parts) - 1)]
            found = [path for path in there if path.is_dir() or path.with_suffix(".py").exists()]
            assert found, f"{named(page)}:{line} names {dotted}"


@PAGE
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in _all_tests(), f"{named(page)} names {name}"
    for path, name in re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", text):
        assert f"def {name}(" in (ROOT / path).read_text(), f"{named(page)} names {path}::{name}"


@PAGE
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    for line, piece in code(page):
        for words in _commands(piece):
            if (wrong := _unknown(words)) is not None:
                pytest.fail(f"{named(page)}:{line}: `{' '.join(words)}`: there is no {wrong}")


@PAGE
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {name for names in re.findall(r"^([\w -]+):(?!=)", makefile, re.MULTILINE) for name in names.split()}
    for line, piece in code(page):
        for target, rest in re.findall(r"(?:^|[;&(] *)make ([a-z][\w-]*)([^#;&|)]*)", piece):
            assert target in targets, f"{named(page)}:{line} names make {target}"
            for variable in re.findall(r"([A-Z]+)=", rest):
                assert f"$({variable})" in makefile, f"{named(page)}:{line}: make {target} takes no {variable}"


@PAGE
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    for name in re.findall(rf"{PREFIX}[A-Z0-9_]*[A-Z0-9]", page.read_text()):
        bare = name.removesuffix("_FILE")
        assert bare in NO_SETTINGS or _is_setting(name) or _is_setting(bare), f"{named(page)} names {name}"


def test_the_index_links_to_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / path).resolve() for path, _ in links(index)}
    assert [page.name for page in (ROOT / "docs").glob("*.md") if page not in {*linked, index}] == []
    decisions = ROOT / "docs" / "decisions"
    listed = {(decisions / path).resolve() for path, _ in links(decisions / "README.md")}
    assert [page.name for page in decisions.glob("0*.md") if page not in listed] == []


def test_decisions_are_numbered_and_dated() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        title, _, date, *_ = record.read_text().splitlines()
        assert title.startswith(f"# {record.name[:4]} "), record.name
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date), record.name


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["status", "--json"], None),
        (["dead-letters", "list", "--json"], None),
        (["statsu"], "command statsu"),
        (["dead-letters", "burn"], "command dead-letters burn"),
        (["status", "--yaml"], "option --yaml of status"),
    ],
)
def test_an_unknown_command_or_option_is_found(words: list[str], wrong: str | None) -> None:
    assert _unknown(words) == wrong


@cache
def _all_tests() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


def _is_setting(name: str) -> bool:
    known = known_of(Settings)
    where = tuple(name.removeprefix(PREFIX).lower().split("__"))
    return known.setting_of(where) is not None or where in known.sections


def _commands(piece: str) -> list[list[str]]:
    """The words after `retrainer` in a piece of code, up to where a shell would end the command."""
    found = re.findall(r"(?:^|[;&|(`] *|/bin/|exec |python -m )retrainer ((?:[a-z]|--)[^|;&#)`]*)", piece)
    words = [[word.strip("[]'\"") for word in rest.split()] for rest in found]
    return [one[1:] if one[0] == "retrainer" else one for one in words]  # in a container of that name


def _unknown(words: list[str]) -> str | None:
    """The first of the words that is neither a command nor an option that its command takes; None if all are known."""
    command: Any = typer.main.get_command(app)
    path: list[str] = []
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("--"):
            if option not in {"--help", *(name for one in command.params for name in (*one.opts, *one.secondary_opts))}:
                return f"option {option} of {' '.join(path) or 'retrainer'}"
        elif (inner := _inside(command)) and re.fullmatch(r"[a-z-]+", word):
            path.append(word)
            if word not in inner:
                return f"command {' '.join(path)}"
            command = command.get_command(None, word)
    return None


def _inside(command: Any) -> list[str]:
    """The commands of a group; none of a command that has none."""
    return list(command.list_commands(None)) if hasattr(command, "list_commands") else []
