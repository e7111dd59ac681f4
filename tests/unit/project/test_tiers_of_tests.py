"""What lies in tests/unit starts no process, and does not bring TensorFlow into the process of the tests."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[3]
UNIT = sorted((ROOT / "tests" / "unit").rglob("*.py"))
MODELS = {"tensorflow", "keras"}


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module that run when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _at_import(node)


@cache
def _imported(file: Path) -> frozenset[str]:
    """The dotted names that a file imports when it is imported: modules, and what is taken from them."""
    names: set[str] = set()
    for node in _at_import(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def _file_of(module: str) -> Path | None:
    """Where a module of ours lies."""
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _way_to_models(file: Path) -> list[str]:
    """A chain of imports from a file to TensorFlow; empty where there is none."""
    ways = {file: [str(file.relative_to(ROOT))]}
    ahead = [file]
    while ahead:
        here = ahead.pop()
        for name in _imported(here):
            if name.partition(".")[0] in MODELS:
                return [*ways[here], name]
            there = _file_of(name)
            if there is not None and there not in ways:
                ways[there] = [*ways[here], name]
                ahead.append(there)
    return []


@pytest.mark.parametrize("file", UNIT, ids=lambda file: str(file.relative_to(ROOT / "tests")))
def test_a_unit_test_imports_no_tensorflow(file: Path) -> None:
    assert not _way_to_models(file), "it belongs into tests/models"


def test_a_way_to_tensorflow_is_found_and_one_within_a_function_does_not_count() -> None:
    assert _way_to_models(ROOT / "tests" / "models" / "learning" / "test_loss.py")[-1].partition(".")[0] in MODELS
    assert not _way_to_models(ROOT / "stores" / "feature_store.py")


@pytest.mark.parametrize(
    "start",
    [lambda: subprocess.run([sys.executable, "-c", ""], check=False), os.fork, lambda: os.system("true")],  # noqa: S605
    ids=["subprocess", "fork", "system"],
)
def test_a_unit_test_that_starts_a_process_fails(start: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="belongs into tests/processes"):
        start()


def test_examples_of_hypothesis_have_no_deadline() -> None:
    """A machine that is busy is no fault of the code."""
    assert settings.default is not None
    assert settings.default.deadline is None
