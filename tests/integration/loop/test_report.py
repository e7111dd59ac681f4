"""The installed service draws the page of its cycle, puts one into the version, and `retrainer report` finds both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.reports import PAGE_FILE
from tests.integration.service import Service
from tests.waiting import wait_until

pytestmark = pytest.mark.full


@pytest.fixture
def service(tansu_address: str, tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, tansu_address, REPORTS__HTML="true")
    yield made
    made.close()


def test_the_page_of_a_cycle_is_there_without_anybody_asking(service: Service) -> None:
    service.fill()
    service.start()
    service.wait_for_cycles(1)
    [version] = service.versions()
    page = service.state_dir / "reports" / version["cycle_id"] / PAGE_FILE
    wait_until(page.exists, 60, "the page of the first cycle")
    assert "Registered as version 1, without a champion to compare with" in page.read_text()

    found = json.loads(service.call("report", "1", "--json").stdout)
    assert (found["page"], found["cycle"], found["outcome"]) == (str(page), version["cycle_id"], "registered")
    assert json.loads(service.call("report", "--json").stdout) == found

    shutil.rmtree(page.parent)  # as on another machine: the version has a page of its own
    carried = json.loads(service.call("report", "1", "--json").stdout)["page"]
    assert carried.startswith(str(service.state_dir / "registry"))
    assert "Registered, without a champion" in Path(carried).read_text()
    missing = service.call("report", version["cycle_id"])
    assert missing.returncode == 1
    assert "none is kept there" in missing.stderr
