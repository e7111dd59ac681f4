"""`retrainer versions` on many of them: the newest, newest first, and how many more there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consumer.ledger.ledger import Ledger, open_ledger
from retrainer.cli import app
from tests.contract.test_ledger_growth import many_cycles


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """With 30 versions, the last of which is 44."""
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        many_cycles(opened, 45)
        yield opened


def shown(*arguments: str) -> list[str]:
    ran = CliRunner().invoke(app, ["versions", *arguments])
    assert ran.exit_code == 0, ran.output
    return ran.stdout.splitlines()


def numbers(lines: list[str]) -> list[int]:
    return [int(line.split()[0]) for line in lines if line.split()[0].isdecimal()]


def test_the_newest_come_first_and_the_others_are_counted() -> None:
    lines = shown()
    assert numbers(lines)[:3] == [44, 43, 41]
    assert len(numbers(lines)) == 20
    assert lines[-1] == "and 10 earlier ones: --limit 30 shows all"


def test_as_many_as_asked_for() -> None:
    assert numbers(shown("--limit", "2")) == [44, 43]
    assert len(numbers(shown("--limit", "30"))) == 30
    assert "earlier ones" not in shown("--limit", "30")[-1]


def test_json_has_all_of_them_oldest_first() -> None:
    found = [version["version"] for version in json.loads("".join(shown("--json")))]
    assert (found[0], found[-1], len(found)) == (1, 44, 30)
    assert [version["version"] for version in json.loads("".join(shown("--json", "--limit", "2")))] == [43, 44]


def test_none_is_refused() -> None:
    assert CliRunner().invoke(app, ["versions", "--limit", "0"]).exit_code == 2
