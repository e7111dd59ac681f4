"""The page for who does not see it, or sees it otherwise: axe finds nothing, in light and dark, with dialogs open."""

from __future__ import annotations

import time
from pathlib import Path
from shutil import copytree

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from schemas.cycle import Outcome
from tests.browser.opened import DESK, PHONE, Opened, Scheme, visited
from tests.browser.serving import Serving, serving
from tests.browser.test_service_page import drawn


@pytest.fixture
def troubled(served: Serving) -> Serving:
    """A service that has something of everything to show."""
    now = time.time()
    served.filling.dead_letter(now)
    served.filling.gap(now)
    served.filling.cycle(Outcome.HELD, now)
    return served


def faults(found: Opened) -> list[str]:
    response = Axe().run(found.page).response
    assert len(response["passes"]) > 15
    return [
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']][:3]}" for one in response["violations"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("dark", PHONE), pytest.param("light", DESK, marks=pytest.mark.full)])
def test_axe_finds_nothing(browser: Browser, troubled: Serving, scheme: Scheme, width: int) -> None:
    with visited(browser, troubled.url, scheme, width) as found:
        drawn(found)
        found.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        found.page.wait_for_selector("figure table")
        assert faults(found) == []
        found.page.click("[data-key=todo-held-accept]")
        found.page.click("dialog button.main")
        assert "Say why" in found.text("dialog .error")
        assert faults(found) == []


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_other_states(browser: Browser, short_past: Path, tmp_path: Path, scheme: Scheme) -> None:
    state = copytree(short_past, tmp_path / "state")
    with serving(state, token=None) as other, visited(browser, other.url, scheme) as found:
        drawn(found)
        found.page.click("[data-key=order-retrain]")
        assert faults(found) == []
        found.page.keyboard.press("Escape")
        other.filling.claim(time.time())
        found.page.wait_for_selector(".steps")
        other.stop()
        found.page.wait_for_selector("body.old #away p")
        assert faults(found) == []


@pytest.mark.full
def test_pictures_are_told_and_have_tables(browser: Browser, served: Serving) -> None:
    with visited(browser, served.url) as found:
        drawn(found)
        assert found.count("figure svg") == found.count("figure details") == 6
        for label in found.page.locator("figure svg").evaluate_all("all => all.map(one => one.ariaLabel)"):
            assert " at last, between " in label
        found.page.locator("figure summary").first.click()
        found.page.wait_for_selector("figure table tbody tr")  # made when it is opened
        rows = found.page.locator("figure table").first.locator("tbody tr")
        assert 8 <= rows.count() <= 16


@pytest.mark.full
def test_nothing_moves_where_that_is_not_wanted(browser: Browser, served: Serving) -> None:
    with visited(browser, served.url) as found:
        found.page.emulate_media(reduced_motion="reduce")
        drawn(found)
        moving = "document.getAnimations().filter(one => one.playState === 'running').length"
        assert found.page.evaluate(moving) == 0
