"""What a trainer is told of earlier versions for the report of its cycle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import schemas
from consumer.cycles.cycle_request import cycle_request
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.reports import ReportPolicy
from tests.contract.ledgers import ended

pytestmark = pytest.mark.full

GOLDEN = json.loads((Path(schemas.__file__).parent / "golden" / "cycle_result.json").read_text())


def versions_before(ledger: Ledger, fence: int, count: int) -> None:
    """So many versions with figures, each with a rejected cycle after it, and one of which none are on record."""
    for number in range(1, count + 1):
        claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "so", 100.0 * number, fence=fence)
        told = {**GOLDEN, "cycle_id": claim.cycle_id, "version": number, "base_version": None, "fence": fence}
        ledger.cycles.settle(CycleResult.model_validate(told), 100.0 * number + 5, fence=fence)
        claim = ledger.cycles.claim(CycleKind.FULL, "so", 100.0 * number + 10, fence=fence)
        ledger.cycles.settle(ended(claim.cycle_id, Outcome.REJECTED), 100.0 * number + 15, fence=fence)
    claim = ledger.cycles.claim(CycleKind.FULL, "so", 1e6, fence=fence)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, count + 1), 1e6 + 5, fence=fence)


def test_the_request_names_the_last_fifty_with_their_figures(ledger: Ledger, fence: int, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    versions_before(ledger, fence, 52)
    claim = ledger.cycles.claim(CycleKind.FULL, "now", 2e6, fence=fence)
    request = cycle_request(settings, ledger, claim, fence=fence, now=2e6, lookup_only=False)
    assert [one.version for one in request.earlier_versions] == list(range(4, 53))
    last = request.earlier_versions[-1]
    figures = GOLDEN["gate"]["challenger"]
    assert (last.accuracy, last.recall_at_10) == (figures["accuracy"], figures["recall_at_10"])
    assert (last.kind, last.registered_at.timestamp()) == ("bootstrap", 5205.0)
    assert request.settings.reports_dir == tmp_path / "reports"

    none = settings.model_copy(update={"reports": ReportPolicy(keep=0)})
    assert cycle_request(none, ledger, claim, fence=fence, now=2e6, lookup_only=False).earlier_versions == ()
    assert cycle_request(settings, ledger, claim, fence=fence, now=2e6, lookup_only=True).earlier_versions == ()


def test_a_version_s_cycle_is_found(ledger: Ledger, fence: int) -> None:
    versions_before(ledger, fence, 1)
    assert ledger.views.cycle_of(1) == ledger.views.versions()[0]["cycle_id"]
    assert ledger.views.cycle_of(9) is None
