"""The packages of the consumer import each other one way only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("consumer", "trainer", "stores", "schemas", "retrainer")
MOST_FILES = 30


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names if "." not in node.module)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def arrows(room: str) -> dict[str, set[str]]:
    """Which package or flat module of a room imports which others of it."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / room).rglob("*.py"):
        package = file.relative_to(ROOT / room).parts[0].removesuffix(".py")
        if package == "__init__":
            continue
        others = {name.split(".")[1] for name in imported(file) if name.startswith(f"{room}.")}
        found.setdefault(package, set()).update(others - {package})
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of imports; empty where there is none."""
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_the_packages_of_the_consumer_have_no_import_circle() -> None:
    graph = arrows("consumer")
    assert {"ledger", "dead_letters", "database", "changes"} <= graph.keys()
    assert circle(graph) == []


def test_a_circle_would_be_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_a_record_goes_straight_down_to_the_database() -> None:
    graph = arrows("consumer")
    below = {"database": set(), "changes": {"database"}, "dead_letters": {"database", "changes"}}
    for package, allowed in below.items():
        assert graph[package] & {"ledger", "dead_letters", "changes", "database"} <= allowed, package


@pytest.mark.parametrize("room", ROOMS)
def test_no_folder_holds_more_flat_files_than_one_can_look_over(room: str) -> None:
    folders = [folder for folder in (ROOT / room, *(ROOT / room).rglob("*")) if folder.is_dir()]
    many = {str(one.relative_to(ROOT)): n for one in folders if (n := len(list(one.glob("*.py")))) > MOST_FILES}
    assert not many
