"""The service asks by its schedule, and makes up what was missed before it was started."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from consumer.clock import Clock
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.service import Service
from consumer.settings import Settings
from schemas.cycle import CycleKind

MONDAY = 1_767_614_400.0  # 2026-01-05T12:00 in UTC
DAY = 86_400.0


def turned(settings: Settings, ledger: Ledger, now: float) -> None:
    """One turn of a service that has just been started; there is no broker, so no cycle starts."""
    service = Service(settings, ledger, Clock(now=lambda: now))
    service._followers.clear()  # threads that nobody would stop
    service._turn(now)


@pytest.mark.parametrize(("line", "asked"), [("0 3 * * *", CycleKind.FULL), ("0 3 * * 0", None), (None, None)])
def test_a_tick_that_passed_while_no_service_ran_is_made_up(
    tmp_path: Path, line: str | None, asked: CycleKind | None
) -> None:
    settings = Settings(
        state_dir=tmp_path,
        schedule={"full_retrain": line},
        trainer={"warm": False},
        kafka={"bootstrap_servers": ["127.0.0.1:9"]},
    )
    with closing(open_ledger(settings.ledger.url)) as ledger:
        turned(settings, ledger, MONDAY)
        assert ledger.retrain_requests.open("schedule") is None
        turned(settings, ledger, MONDAY + 3 * DAY)
        assert ledger.retrain_requests.open("schedule") is asked
