"""The code of the project as its tests read it: files, imports and identifiers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOMS = ("retrainer", "consumer", "trainer", "stores", "schemas")
EVERYWHERE = (*ROOMS, "benchmarks", "examples", "tests")

Graph = dict[str, set[str]]


def files(*rooms: str) -> list[Path]:
    """The Python files of these rooms, relative to the root."""
    return sorted(path.relative_to(ROOT) for room in rooms for path in (ROOT / room).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(), str(path))


def module(path: Path) -> str:
    """The name by which a file is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@cache
def imports() -> Graph:
    """Which module of the rooms imports which; imports inside of functions and for type checks count, too."""
    known = {module(path): path for path in files(*ROOMS)}
    graph: Graph = {name: set() for name in known}
    for name, path in known.items():
        for found in _imported(path):
            target = found if found in known else found.rpartition(".")[0]
            if target in known and target != name:
                graph[name].add(target)
    return graph


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield from (f"{node.module}.{one.name}" for one in node.names)


def circles(graph: Graph) -> list[list[str]]:
    """Groups of nodes that reach each other."""
    reach = {node: _reached(graph, node) for node in graph}
    groups = {frozenset(other for other in reach[node] if node in reach.get(other, ())) for node in graph}
    return [sorted(group) for group in groups if group]


def _reached(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph.get(waiting.pop(), ()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


@cache
def identifiers(path: Path) -> list[tuple[int, str]]:
    """The names of a file, whole, each with its line: variables, attributes, arguments, functions, classes, modules."""
    return [(1, path.stem), *_names(path)]


def _names(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.end_lineno or node.lineno, node.attr
        elif isinstance(node, ast.arg | ast.keyword):
            yield getattr(node, "lineno", 1), node.arg or ""  # the stars of a call have no name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, part) for part in (node.module or "").split("."))
            yield from ((node.lineno, name) for one in node.names for name in (one.name, one.asname) if name)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, part) for one in node.names for part in one.name.split("."))


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Every text that stands alone as a statement, with its first line: docstrings, of attributes too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
