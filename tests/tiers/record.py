"""What pytest's JUnit files say of a run: which tests there were, how each ended, how long each took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Record:
    """One test of one run. `seconds` has its fixtures too, those that it shares where it came first."""

    file: str
    name: str
    outcome: Outcome
    seconds: float

    @property
    def id(self) -> str:
        """As pytest names it."""
        return f"{self.file}::{self.name}"


def records(junit: Path) -> list[Record]:
    """The tests of a run, in the order in which they ended."""
    return list(_records(ElementTree.parse(junit).getroot()))  # noqa: S314  (of our own making)


def _records(suites: ElementTree.Element) -> Iterator[Record]:
    for case in suites.iter("testcase"):
        kinds = {child.tag for child in case}
        outcome: Outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        module, _, inside = case.attrib["classname"].partition(".Test")  # a class of tests is no folder
        name = f"Test{inside}::{case.attrib['name']}" if inside else case.attrib["name"]
        yield Record(module.replace(".", "/") + ".py", name, outcome, float(case.attrib["time"]))
