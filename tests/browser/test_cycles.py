"""A registered, a refused, an unchanged and a held cycle of a real loop, each report opened in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from schemas.cycle import CycleResult, Outcome
from schemas.decision import decision
from schemas.reports import PAGE_FILE
from tests.browser.opened import PHONE, opened
from tests.models.reported import Reported, all_of
from trainer.report.files import draw_page

pytestmark = pytest.mark.full

PARTS = {
    Outcome.REGISTERED: {"What the gate compared", "Slices", "Learning", "Guard", "Nearest users"},
    Outcome.REJECTED: {"What the gate compared", "Slices", "Learning", "Guard", "Nearest users"},
    Outcome.UNCHANGED: {"Slices", "Learning", "Guard", "Nearest users"},
    Outcome.HELD: {"Guard"},
}
BEGINNINGS = {
    Outcome.REGISTERED: "Registered as version 2: it does not regress against version 1",
    Outcome.REJECTED: "Refused: ",
    Outcome.UNCHANGED: "Nothing to learn, so version 2 stays: ",
    Outcome.HELD: "Held, and nothing was learned: of 420 users known before",
}


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reported, dict[Outcome, CycleResult]]:
    return all_of(tmp_path_factory.mktemp("loop"), html=True)


@pytest.mark.parametrize("outcome", list(PARTS))
def test_the_report_says_what_was_decided_and_shows_why(
    browser: Browser, loop: tuple[Reported, dict[Outcome, CycleResult]], outcome: Outcome
) -> None:
    reported, results = loop
    path = draw_page(reported.reports / results[outcome].cycle_id)
    assert path is not None
    with opened(browser, path, width=PHONE) as found:
        assert (found.requests, found.complaints) == ([], [])
        assert found.fits()
        said = found.text(".decision")
        assert said == decision(results[outcome])
        assert said.startswith(BEGINNINGS[outcome])
        parts = set(found.page.locator("h2").all_inner_texts())
        assert PARTS[outcome] <= parts
        others = {"What the gate compared", "Slices", "Learning", "Nearest users"} - PARTS[outcome]
        assert not others & parts
        found.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert found.fits()


def test_a_version_carries_a_page_that_opens_alone(
    browser: Browser, loop: tuple[Reported, dict[Outcome, CycleResult]], tmp_path: Path
) -> None:
    reported, _ = loop
    alone = tmp_path / "elsewhere.html"
    alone.write_bytes((reported.bench.registry.fetch(2) / PAGE_FILE).read_bytes())
    with opened(browser, alone, "dark") as found:
        assert (found.requests, found.complaints) == ([], [])
        assert found.text(".decision").startswith("Registered: it does not regress against version 1")
