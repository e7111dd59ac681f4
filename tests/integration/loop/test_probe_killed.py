"""A service that dies with its trainer while the champion is asked about what is pending."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from consumer.ledger.ledger import open_ledger
from schemas.fault_points import Point
from tests.integration.service import Service
from tests.waiting import wait_until

pytestmark = pytest.mark.full

ASKING = {
    "TRIGGER__CHANGED_USERS": "10000",
    "TRIGGER__CHANGED_SHARE": "1",
    "TRIGGER__REGRET": "1",  # never so much
    "TRIGGER__PROBE_CHANGES": "20",
    "TRIGGER__PROBE_INTERVAL": "0",
    "TRIGGER__MAX_STALENESS": "86400",  # however slow the machine
}


def test_a_probe_that_was_killed_is_made_again_and_leaves_nothing_behind(tansu_address: str, tmp_path: Path) -> None:
    spaces = tmp_path / "trainer" / "spaces"
    with closing(Service(tmp_path, tansu_address, **ASKING)) as service:
        service.fill()
        service.start()
        service.wait_for_cycles(1)
        assert service.stop() == 0
        before = _files(spaces)
        service.wave(1)
        with service.standing_still_at(Point.PROBE_BEFORE):
            assert service.counted().events == 440
        assert _files(spaces).items() >= before.items()
        assert [folder for folder in spaces.iterdir() if folder.name.startswith("probe-")]
        service.start()
        with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", create=False)) as ledger:
            last = wait_until(ledger.probes.last, 60, "the probe")
            assert last is not None
            assert (last.version, last.changes) == (1, 40)
            assert ledger.views.backlog().users == 40
        told = service.call("train")
        assert "registered as version 2" in told.stdout, told
        assert service.versions()[1]["changed_users"] == 40
        assert service.stop() == 0
    assert [folder.name for folder in spaces.iterdir()] == [service.versions()[0]["cycle_id"]]


def _files(spaces: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in spaces.rglob("*") if path.is_file()}
