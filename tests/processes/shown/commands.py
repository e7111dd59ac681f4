"""The commands that README.md and docs/*.md show, in the order in which somebody would type them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.unit.project.code import ROOT
from tests.unit.project.pages import named

GENERATED = {"docs/cli.md", "docs/log-events.md", "docs/settings.md"}
"""Written from the code, and held against it elsewhere: docs/cli.md shows how commands are used, and no commands."""
RUN_ELSEWHERE = {"docs/tutorial.md", "docs/tour.md"}
"""Their commands are run as they stand there by tests/processes/test_tutorial.py."""

PAGES = sorted(
    page
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if named(page) not in GENERATED | RUN_ELSEWHERE
)

_TYPED = re.compile(r"^(?:\$ )?(\(\. \S+; |echo \| |(?:[A-Z_]+=\S* +)*)(?:\.venv/bin/)?(retrainer|curl) (?!.*──)")
_SPOKEN = re.compile(r"`((?:retrainer|curl) [^`]+)`")
_COMMENT = re.compile(r"\s+# .*$")
_BESIDE = re.compile(r"(\s+2?> \S+\.log)?\s+&$")


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it, without its comment."""

    page: str
    line: int
    text: str

    @property
    def beside(self) -> str:
        """What a shell would run beside the next commands; the text itself where it would not."""
        return _BESIDE.sub("", self.text)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def lines_of_code(page: Path) -> Iterator[tuple[int, str]]:
    """Every line in a block of code, without its comment and whole: with the lines that a backslash adds to it."""
    fenced, joined = False, False
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif (fenced or line.startswith("    ")) and not joined:
            yield number, _COMMENT.sub("", _whole(lines, number - 1))
        joined = line.endswith("\\")


def typed(page: Path) -> Iterator[Shown]:
    """The commands that stand on a line of their own, in blocks of code."""
    for number, line in lines_of_code(page):
        if _TYPED.match(line):
            yield Shown(named(page), number, line.removeprefix("$ "))


def _whole(lines: list[str], at: int) -> str:
    """The command that begins in a line, with the lines that a backslash adds to it."""
    text = lines[at].strip()
    while text.endswith("\\"):
        at += 1
        text = text.removesuffix("\\") + lines[at].strip()
    return text


def spoken(page: Path) -> Iterator[Shown]:
    """The commands that a sentence or a table names, and that comments of other commands do."""
    text = page.read_text()
    for match in _SPOKEN.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Shown(named(page), line, " ".join(match[1].split()))


def shown() -> dict[str, list[Shown]]:
    """For each page what is to be run: all that is typed, and what is spoken of where it first is, if typed nowhere."""
    seen = {one.text for page in PAGES for one in typed(page)}
    found: dict[str, list[Shown]] = {}
    for page in PAGES:
        of_page = list(typed(page))
        for one in spoken(page):
            if one.text not in seen:
                seen.add(one.text)
                of_page.append(one)
        if of_page:
            found[named(page)] = sorted(of_page, key=lambda one: one.line)
    return found
