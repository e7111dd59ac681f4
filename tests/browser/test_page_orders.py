"""Orders that a person gives on the page, by clicks or keys: the ledger has them, or the page says why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from consumer.ledger.ledger import Ledger
from schemas.cycle import CycleKind, Outcome
from tests.browser.opened import Opened, visited
from tests.browser.serving import TOKEN, Serving, serving
from tests.browser.test_service_page import SOON, drawn

WHY = "it does not like 'jazz'"
IN_DIALOG = "[document.body, ...document.querySelectorAll('dialog *')].includes(document.activeElement)"


@contextmanager
def at(browser: Browser, served: Serving) -> Iterator[Opened]:
    with visited(browser, served.url) as found:
        yield drawn(found)


def give(found: Opened, key: str, *, token: str | None = TOKEN, why: str = WHY, by: str = "ada") -> None:
    """Confirm the order of a button."""
    found.page.click(f"[data-key={key}]")
    found.page.fill("#order-reason", why)
    found.page.fill("#order-by", by)
    if token is not None:
        found.page.fill("#order-token", token)
    found.page.click("dialog button.main")


def done(found: Opened) -> str:
    expect(found.page.locator("#order-title")).to_have_text("Done", timeout=SOON)
    said = found.text("dialog")
    found.page.click("dialog button.main")
    expect(found.page.locator("dialog")).to_be_hidden()
    return said


def champion(ledger: Ledger) -> int:
    standing = ledger.views.history().champion
    assert standing is not None
    return standing


def requests(ledger: Ledger) -> CycleKind | None:
    return ledger.retrain_requests.open("operator")


def test_a_person_pauses_and_resumes(browser: Browser, served: Serving) -> None:
    with at(browser, served) as found:
        give(found, "order-pause")
        assert "Cycles are paused." in done(found)
        pause = served.ledger.orders.paused()
        assert pause is not None
        assert (pause.by, pause.reason) == ("ada", WHY)
        expect(found.page.locator("#state .title")).to_have_text("Paused", timeout=SOON)
        assert WHY in found.text("#state")
        assert found.page.evaluate("document.activeElement !== document.body")
        give(found, "order-resume", token=None)  # this tab knows it by now
        done(found)
        assert served.ledger.orders.paused() is None
        assert found.complaints == []


@pytest.mark.full
@pytest.mark.parametrize(("choice", "kind"), [("retrain", CycleKind.INCREMENTAL), ("full", CycleKind.FULL)])
def test_a_person_retrains(browser: Browser, served: Serving, choice: str, kind: CycleKind) -> None:
    with at(browser, served) as found:
        found.page.click("[data-key=order-retrain]")
        found.page.check(f"dialog input[value={choice}]")
        assert ("from scratch" in found.text("#order-title")) is (kind is CycleKind.FULL)
        found.page.fill("#order-reason", WHY)
        found.page.fill("#order-token", TOKEN)
        found.page.click("dialog button.main")
        done(found)
        assert requests(served.ledger) is kind


@pytest.mark.full
@pytest.mark.parametrize("kind", [CycleKind.INCREMENTAL, CycleKind.FULL])
def test_a_person_accepts_what_is_held(browser: Browser, served: Serving, kind: CycleKind) -> None:
    full = " --full" if kind is CycleKind.FULL else ""
    way_out = f"look at the rows; if the data are right: `retrainer train{full} --accept REFUSED_SHARE`"
    served.filling.cycle(Outcome.HELD, time.time(), way_out=way_out)
    with at(browser, served) as found:
        found.page.click("[data-key=todo-held-accept]")
        assert "beyond the limit of refused share" in found.text("dialog")
        found.page.keyboard.press("Escape")
        give(found, "todo-held-accept")
        done(found)
        assert requests(served.ledger) is kind
        served.filling.claim(time.time(), kind)
        cycle = served.ledger.views.cycle()
        assert cycle is not None
        assert cycle["accept"] == ["refused_share"]


@pytest.mark.full
def test_what_no_limit_holds_cannot_be_accepted(browser: Browser, served: Serving) -> None:
    served.filling.cycle(Outcome.HELD, time.time(), way_out="bring version 6 back into the registry")
    with at(browser, served) as found:
        assert "bring version 6 back" in found.text("#todo .way")
        assert found.count("[data-key=todo-held-accept]") == 0


ROLLED: dict[str, Callable[[int], tuple[str, int]]] = {
    "the one before": lambda standing: ("order-rollback", standing - 1),
    "an earlier one": lambda standing: (f"rollback-{standing - 2}", standing - 2),
}


@pytest.mark.full
@pytest.mark.parametrize("which", ROLLED)
def test_a_person_rolls_back_and_promotes(browser: Browser, served: Serving, which: str) -> None:
    standing = champion(served.ledger)
    key, wanted = ROLLED[which](standing)
    with at(browser, served) as found:
        give(found, key)
        assert f"Withdrawn: version {standing}" in done(found) or wanted != standing - 1
        assert champion(served.ledger) == wanted
        expect(found.page.locator("table.versions tr:has(.tag.champion) th b")).to_have_text(str(wanted), timeout=SOON)
        expect(found.page.locator("table.versions .tag", has_text="withdrawn").first).to_be_visible()
        give(found, f"promote-{standing}", token=None)
        done(found)
        assert champion(served.ledger) == standing


@pytest.mark.full
def test_a_person_pins_and_unpins(browser: Browser, served: Serving) -> None:
    standing = champion(served.ledger)
    with at(browser, served) as found:
        give(found, "order-pin")
        done(found)
        pin = served.ledger.orders.standing(time.time()).pin
        assert pin is not None
        assert (pin.version, pin.reason) == (standing, WHY)
        expect(found.page.locator("table.versions .tag", has_text="pinned")).to_be_visible(timeout=SOON)
        give(found, f"version-pin-{standing}", token=None)
        done(found)
        assert served.ledger.orders.standing(time.time()).pin is None


@pytest.mark.full
def test_a_champion_that_changed_meanwhile_is_not_replaced(browser: Browser, served: Serving) -> None:
    with at(browser, served) as found:
        found.page.click("[data-key=order-rollback]")
        found.page.fill("#order-reason", WHY)
        found.page.fill("#order-token", TOKEN)
        served.filling.cycle(Outcome.REGISTERED, time.time())
        standing = champion(served.ledger)
        found.page.click("dialog button.main")
        expect(found.page.locator("dialog .error")).to_contain_text(str(standing), timeout=SOON)
        assert "Way out:" in found.text("dialog .error")
        assert champion(served.ledger) == standing


def test_a_wrong_token_is_forgotten_and_asked_for_again(browser: Browser, served: Serving) -> None:
    with at(browser, served) as found:
        give(found, "order-pause", token=TOKEN[::-1])
        expect(found.page.locator("dialog .error")).to_contain_text("Way out:", timeout=SOON)
        assert served.ledger.orders.paused() is None
        assert found.page.evaluate("sessionStorage.getItem('retrainer-token')") is None
        assert found.page.evaluate("document.activeElement.id") == "order-token"
        found.page.fill("#order-token", TOKEN)
        found.page.click("dialog button.main")
        done(found)
        assert served.ledger.orders.paused() is not None
        assert found.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        found.page.click("[data-key=forget]")
        assert found.page.evaluate("sessionStorage.getItem('retrainer-token')") is None
        found.page.click("[data-key=order-resume]")
        assert found.count("#order-token") == 1


@pytest.mark.full
def test_nothing_is_sent_without_a_reason_or_after_escape(browser: Browser, served: Serving) -> None:
    with at(browser, served) as found:
        give(found, "order-pause", why="  ")
        assert "Say why" in found.text("dialog .error")
        assert found.page.evaluate("document.activeElement.id") == "order-reason"
        found.page.keyboard.press("Escape")
        expect(found.page.locator("dialog")).to_be_hidden()
        assert found.page.evaluate("document.activeElement.dataset.key") == "order-pause"
        assert not [url for url in found.requests if "/orders/" in url]
        assert served.ledger.orders.paused() is None


@pytest.mark.full
def test_without_a_token_the_page_offers_the_command(browser: Browser, short_past: Path, tmp_path: Path) -> None:
    state = copytree(short_past, tmp_path / "state")
    with serving(state, token=None) as served, at(browser, served) as found:
        standing = champion(served.ledger)
        found.page.click("[data-key=order-rollback]")
        found.page.fill("#order-reason", WHY)
        said = found.text("dialog")
        assert f"retrainer rollback --instead-of {standing} --reason 'it does not like '\\''jazz'\\'''" in said
        assert "RETRAINER_HTTP__TOKEN_FILE" in said
        assert found.count("dialog button.main") == found.count("#order-token") == 0
        found.page.keyboard.press("Enter")
        assert not [url for url in found.requests if "/orders/" in url]


@pytest.mark.full
def test_the_keyboard_is_enough(browser: Browser, served: Serving) -> None:
    with at(browser, served) as found:
        page = found.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert outlined(found)
        page.keyboard.press("Enter")
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.key") == "order-pause":
                break
        assert page.evaluate("document.activeElement.dataset.key") == "order-pause"
        assert outlined(found)
        page.keyboard.press("Enter")
        page.keyboard.type(WHY)
        inside = set()
        for _ in range(8):
            page.keyboard.press("Tab")
            inside.add(page.evaluate(IN_DIALOG))
        assert inside == {True}
        page.focus("#order-token")
        page.keyboard.type(TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator("#order-title")).to_have_text("Done", timeout=SOON)
        page.keyboard.press("Enter")
        expect(page.locator("dialog")).to_be_hidden()
        assert served.ledger.orders.paused() is not None


def outlined(found: Opened) -> Any:
    return found.page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'")
