"""Every benchmark is where its case says, without running it or importing what it needs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.cases import CASES, Case

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.function)
def test_the_function_of_a_case_is_there(case: Case) -> None:
    module, _, function = case.function.partition(":")
    tree = ast.parse((BENCHMARKS / f"{module.replace('.', '/')}.py").read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
