"""A holder of the lease that is stalled at the worst moments: when it goes on, its write is refused, not just given up.

What is stalled here is one supervisor of two in this process: another instance takes the lease when it reaches a point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consumer.cycles import supervisor as supervising
from consumer.cycles.supervisor import Supervisor
from consumer.errors import LeaseLost
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.fault_points import Point
from tests.contract.ledgers import P0, batch, begin
from tests.leading import leading

Stall = Callable[[Point], None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with closing(open_ledger(settings.ledger.url)) as opened:
        begin(opened)
        opened.intake.record(batch(P0, 0, ["a", "b"]))
        yield opened


@pytest.fixture
def stalled_at(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Stall:
    """Has whoever comes to a point be overtaken there."""

    def stall(point: Point) -> None:
        def reached(now_at: Point) -> None:
            if now_at is point:
                assert ledger.leases.take("another", ledger.leases.current(), time.time()) is not None

        monkeypatch.setattr(supervising, "reached", reached)

    return stall


def test_who_is_stalled_before_it_claims_claims_nothing(settings: Settings, ledger: Ledger, stalled_at: Stall) -> None:
    supervisor = Supervisor(settings, ledger, leading(ledger), lambda: None)
    stalled_at(Point.CLAIM)
    with pytest.raises(LeaseLost, match="'another' has it"):
        supervisor.start(CycleKind.BOOTSTRAP, "first", time.time())
    assert not supervisor.busy
    assert ledger.cycles.running() is None
    assert ledger.views.backlog().users == 2


@pytest.mark.parametrize("outcome", [Outcome.REGISTERED, Outcome.REJECTED])
def test_who_is_stalled_between_the_result_and_the_ledger_settles_nothing(
    settings: Settings, ledger: Ledger, stalled_at: Stall, outcome: Outcome
) -> None:
    before = leading(ledger)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", time.time(), fence=before.fence)
    supervisor = Supervisor(settings, ledger, leading(ledger), lambda: None)
    stalled_at(Point.RESULT)
    folder = settings.work_dir / "cycles" / claim.cycle_id
    folder.mkdir(parents=True)
    result = CycleResult(
        cycle_id=claim.cycle_id,
        outcome=outcome,
        reason="said so",
        base_version=None,
        version=1 if outcome is Outcome.REGISTERED else None,
        fence=before.fence,
    )
    (folder / "result.json").write_text(result.model_dump_json())
    with pytest.raises(LeaseLost, match="'another' has it"):
        supervisor.resume(time.time())
    supervisor.abandon()
    assert not folder.exists()
    assert ledger.cycles.running() == claim
    assert ledger.views.versions() == []
