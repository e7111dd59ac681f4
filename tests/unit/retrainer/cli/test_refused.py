"""`retrainer refused`, and how `retrainer status` points at it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consumer.ledger.ledger import Ledger, open_ledger
from retrainer.cli.refused import refused
from retrainer.cli.status import status
from schemas.cycle import CycleKind, CycleResult, LabelReport, Outcome, ReadReport
from schemas.labels import pair_text
from tests.contract.ledgers import take

REASON = "[bold]taste\x1b[2J is missing"


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ledger]:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


def refuse(ledger: Ledger, users: dict[str, str], labels: dict[str, str]) -> None:
    fence = take(ledger)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", time.time(), fence=fence)
    told = {
        "read": ReadReport(accepted=9, deleted=0, refused=users, refused_total=len(users)),
        "labels": LabelReport(accepted=9, deleted=0, refused=labels, refused_total=len(labels)),
    }
    result = CycleResult(
        cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="so", base_version=None, version=1, **told
    )
    ledger.cycles.settle(result, 1_700_000_000.0, fence=fence)


def out(*arguments: str) -> str:
    result = CliRunner().invoke(refused, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_nobody_is_refused(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert out("list") == "no users are refused\n"
    assert out("list", "--labels", "--json") == "[]\n"
    status()
    assert "refused list" not in capsys.readouterr().out


def test_who_is_refused_is_listed_with_the_reason_and_the_way_out(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(ledger, {"b\x07": REASON, "a": "year is missing"}, {pair_text(("a", "b")): "label is 2"})
    told = out("list")
    assert "2 users are refused" in told
    assert "`retrainer train --full` reads every row" in told
    assert "[bold]taste\\x1b[2J is missing" in told
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "2023-11-14T22:13:20+00:00" in told
    assert "the last 1 are shown" in out("list", "--limit", "1")
    assert "a and b" in out("list", "--labels")
    (label,) = json.loads(out("list", "--labels", "--json"))
    assert (label["label"], label["reason"], label["times"]) == (["a", "b"], "label is 2", 1)
    assert {row["user"]: row["reason"] for row in json.loads(out("list", "--json"))}["b\x07"] == REASON
    status()
    assert "2 users, 1 labels: see `retrainer refused list`" in " ".join(capsys.readouterr().out.split())
    status(as_json=True)
    assert json.loads(capsys.readouterr().out)["refused"] == {"users": 2, "labels": 1}
