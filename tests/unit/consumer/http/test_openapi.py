"""The description of the API is current, describes all that there is, and every answer is as it says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from consumer.http.app import API
from consumer.http.openapi import document, render
from consumer.http.pages import OPENAPI
from consumer.ledger.ledger import Ledger, open_ledger
from tests.unit.consumer.http.served import TOKEN, Served, serve

FEW, MANY = 3, 200
# An order that is well formed may be refused all the same, as the ledger's state does not allow it.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    allow_header_conformance,
    unsupported_method,
]


def test_the_document_is_current() -> None:
    assert OPENAPI.read_text() == render(), "run `make schemas`"


def test_every_address_of_the_api_is_described_and_the_other_way_round(ledger: Ledger, tmp_path: Path) -> None:
    routes = {path for path in serve(ledger, tmp_path, past=False).application.paths if not path.startswith("/static")}
    assert routes - {"/"} == set(document()["paths"])


def test_the_document_is_served(ledger: Ledger, tmp_path: Path) -> None:
    assert serve(ledger, tmp_path, past=False).get(f"{API}/openapi.json") == document()


def test_orders_need_the_token_and_questions_do_not() -> None:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            assert ("security" in operation) == (method == "post") == path.startswith(f"{API}/orders/")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fuzzed")
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}")
    found = serve(ledger, folder, allowed_hosts=("testserver",))
    (found.settings.reports_dir / found.cycles[0]).mkdir(parents=True)
    for name in ("evidence.json", "report.html"):
        (found.settings.reports_dir / found.cycles[0] / name).write_text("{}")
    yield found
    ledger.close()


OPERATIONS = [(path, method) for path, methods in document()["paths"].items() for method in methods]
HOW = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


@cache
def described() -> Any:
    return schemathesis.openapi.from_dict(document())


def fuzz(served: Served, path: str, method: str, examples: int) -> int:
    """Ask as the document has it, and as it has it not; gives how often."""
    schema = described()
    schema.app = served.application
    operation, asked = schema[path][method.upper()], 0

    @given(case=st.one_of(*(operation.as_strategy(generation_mode=how) for how in HOW)))
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), derandomize=examples < MANY)
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        case.call_and_validate(headers={"authorization": f"Bearer {TOKEN}"}, checks=CHECKS, timeout=120)

    ask()
    return asked


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_described(served: Served, path: str, method: str) -> None:
    fuzz(served, path, method, FEW)


@pytest.mark.full
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_many_answers_are_as_described(served: Served, path: str, method: str) -> None:
    fuzz(served, path, method, MANY)
