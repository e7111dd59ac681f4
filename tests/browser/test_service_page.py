"""The page of the service in a browser: what it tells, that it follows the service, and that texts stay texts."""

from __future__ import annotations

import re
import time
from contextlib import closing
from pathlib import Path
from shutil import copytree

import pytest
from playwright.sync_api import Browser, expect

from consumer.ledger.ledger import open_ledger
from consumer.settings import Settings
from schemas.cycle import Outcome
from tests.browser.opened import PHONE, Opened, visited
from tests.browser.serving import REPORTED, Serving, serving
from tests.contract.test_ledger_growth import many_cycles
from tests.waiting import within

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> `&\"'"
SOON = 20_000  # milliseconds, for what the page does by itself


def drawn(found: Opened) -> Opened:
    """The page, once all of it is there."""
    for part in (
        "#state .title",
        "#facts dt",
        "#samples svg",
        "#exams svg",
        ".cycle",
        "table.versions",
        "#instances table",
    ):
        found.page.wait_for_selector(part, timeout=SOON)
    return found


def texts(found: Opened, where: str) -> list[str]:
    return found.page.locator(where).all_inner_texts()


def test_it_tells_what_the_service_does_and_has_done(browser: Browser, served: Serving) -> None:
    with visited(browser, served.url) as found:
        drawn(found)
        assert found.text("#state .title") == "Listening"
        assert "No cycle starts now: too little has changed." in found.text("#state")
        assert found.text("#todo") == "Nobody has to do anything."
        facts = dict(zip(texts(found, "#facts dt"), texts(found, "#facts dd b"), strict=True))
        champion = served.ledger.views.history().champion
        assert facts["Champion"] == f"version {champion}"
        assert (facts["Lag"], facts["Pending"]) == ("12 events", f"{served.ledger.views.backlog().users} users")
        cycles = texts(found, ".cycle > p:nth-of-type(1)")
        assert len(cycles) == 10
        assert all(one.startswith("Because enough users changed. ") for one in cycles)
        assert any("Registered as version" in one for one in cycles)
        assert any("Refused: recall@10 of new users has lost" in one for one in cycles)
        assert texts(found, "table.versions .tag.champion") == ["champion"]
        assert "retrainer-0" in found.text("#instances")
        times = found.page.locator("time").evaluate_all("all => all.map(one => [one.title, one.dateTime])")
        assert times
        assert all(title.endswith(" UTC") and title[:10] == at[:10] for title, at in times)
        assert all(url.startswith(served.url) for url in found.requests)
        assert found.complaints == []


def test_it_follows_the_service_and_comes_back_after_it_was_away(browser: Browser, served: Serving) -> None:
    with visited(browser, served.url) as found:
        drawn(found)
        served.filling.cycle(Outcome.HELD, time.time())
        expect(found.page.locator("#todo h3")).to_have_text(["Data are held"], timeout=SOON)
        expect(found.page.locator("#said")).to_contain_text("Data are held", timeout=SOON)
        expect(found.page.locator(".cycle.held").first).to_contain_text("Held, and nothing was learned", timeout=SOON)
        assert found.page.title().startswith("(1) Held")
        served.stop()
        expect(found.page.locator("#away")).to_contain_text(
            re.compile("No answer since .* What is shown"), timeout=SOON
        )
        expect(found.page.locator("body")).to_have_class("old")
        assert found.text("#todo h3") == "Data are held"
        served.start()
        expect(found.page.locator("#away")).to_be_empty(timeout=SOON * 2)
        expect(found.page.locator("body")).not_to_have_class("old")


@pytest.mark.full
def test_a_running_cycle_is_shown_step_by_step(browser: Browser, served: Serving) -> None:
    cycle_id = served.filling.claim(time.time() - 40)
    with visited(browser, served.url) as found:
        drawn(found)
        assert found.text("#state .title") == "Learning what has changed"
        assert cycle_id in found.text("#state")
        assert found.page.text_content(".steps [aria-current=step]") == "fit, now 6 of 15"
        assert found.count(".steps .done") == 5
        running = served.ledger.views.running()
        assert running is not None
        served.says = {"cycle": running | {"state": "running", "step": "gate", "running_s": 60.0}}
        expect(found.page.locator(".steps [aria-current=step]")).to_contain_text("gate", timeout=SOON)


@pytest.mark.full
def test_what_somebody_has_to_do_is_told_with_its_way_out(browser: Browser, served: Serving) -> None:
    filling, now = served.filling, time.time()
    filling.dead_letter(now)
    filling.gap(now)
    filling.cycle(Outcome.FAILED, now)
    served.says = {
        "trouble": "the disk is full",
        "failing": {
            "cycle_id": "c000015",
            "attempts": 3,
            "of": 3,
            "cycles_in_a_row": 1,
            "error": "the feature store does not answer",
            "at_work": False,
            "next_try_at": now + 600,
        },
    }
    with visited(browser, served.url) as found:
        drawn(found)
        assert texts(found, "#todo h3") == [
            "Ledger or disk cannot be used",
            "Cycles fail",
            "2 dead letters",  # a gap is one, too
            "1 gap since the last full retrain",
        ]
        assert "retrainer dead-letters list" in texts(found, "#todo code")
        assert "tried 3 of 3 times: the feature store does not answer." in found.text("#todo")
        assert found.text("#state .title") == "In trouble"


@pytest.mark.full
@pytest.mark.parametrize(("promise", "state"), [("2d", "Kept"), ("60s", "Broken")])
def test_the_freshness_promise_is_told(
    browser: Browser, short_past: Path, tmp_path: Path, promise: str, state: str
) -> None:
    state_dir = copytree(short_past, tmp_path / "state")
    with serving(state_dir, slo={"freshness": promise}) as served, visited(browser, served.url) as found:
        drawn(found)
        facts = dict(zip(texts(found, "#facts dt"), texts(found, "#facts dd b"), strict=True))
        assert facts["Freshness promise"] == state
        assert ("The freshness promise is broken" in texts(found, "#todo h3")) is (state == "Broken")
        assert found.count("svg text.limit") == 1


@pytest.mark.full
def test_texts_stay_texts_and_no_user_is_named(browser: Browser, served: Serving) -> None:
    now = time.time()
    served.filling.cycle(Outcome.REJECTED, now, why=HOSTILE)
    served.ledger.orders.pause(by=HOSTILE, reason=HOSTILE, now=now)
    served.ledger.instances.report("two", served.status(), now, HOSTILE)
    served.says = {"notice": HOSTILE}
    with visited(browser, served.url) as found:
        drawn(found)
        found.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        for where in ("#state", "#todo", ".cycle", "#instances"):
            assert "<script>document.title='taken'</script><img src=x" in found.text(where)
        found.page.click("[data-key=order-resume]")
        assert "<img src=x" in found.text("dialog")
        assert found.count("body script") == found.count("img") == 0
        assert "taken" not in found.page.title()
        assert "user-" not in found.page.content()
        assert found.complaints == []


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_both_schemes(browser: Browser, served: Serving, scheme: str) -> None:
    served.filling.cycle(Outcome.HELD, time.time())
    with visited(browser, served.url, scheme, PHONE) as found:  # type: ignore[arg-type]
        drawn(found)
        found.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        found.page.wait_for_selector(".cycle table")
        assert found.fits()
        widths = found.page.locator("figure svg").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().width)"
        )
        assert all(300 < width <= PHONE for width in widths)
        ground = {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
        assert found.colour("body", "background-color") == ground
        found.page.click("[data-key=todo-held-accept]")
        box = found.page.locator("dialog").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE
        assert found.fits()


@pytest.mark.full
def test_cycles_come_in_portions_and_as_wanted(browser: Browser, served: Serving) -> None:
    with visited(browser, served.url) as found:
        drawn(found)
        assert found.count(".cycle") == 10
        found.page.click("[data-key=more-cycles]")
        expect(found.page.locator(".cycle")).to_have_count(14)
        assert found.count("[data-key=more-cycles]") == 0
        found.page.select_option("#outcome", "rejected")
        expect(found.page.locator(".cycle:not(.rejected)")).to_have_count(0)
        assert found.count(".cycle.rejected") == 2
        found.page.locator(".cycle summary").first.click()
        assert texts(found, ".cycle:first-child caption") == [
            "Exam, on the same held-out users",
            "What the gate compared, the worst first",
            "What the guard measured",
            "Seconds by step",
        ]
        served.filling.cycle(Outcome.REGISTERED, time.time())
        found.page.select_option("#outcome", "")
        expect(found.page.locator(".cycle").first).to_have_class("cycle registered", timeout=SOON)


@pytest.mark.full
def test_what_is_open_and_has_the_focus_stays_so(browser: Browser, served: Serving) -> None:
    with visited(browser, served.url) as found:
        drawn(found)
        second = found.page.locator(".cycle details").nth(1)
        key = second.get_attribute("data-key")
        second.locator("summary").click()
        found.page.focus("[data-key=order-pause]")
        served.filling.cycle(Outcome.REGISTERED, time.time())
        expect(found.page.locator(".cycle details").nth(2)).to_have_attribute("data-key", str(key), timeout=SOON)
        expect(found.page.locator(".cycle details").nth(2).locator("caption").first).to_be_visible()
        assert found.page.evaluate("document.activeElement.dataset.key") == "order-pause"


@pytest.mark.full
def test_the_report_of_a_cycle_opens_beside_the_page(browser: Browser, served: Serving) -> None:
    with visited(browser, served.url) as found:
        drawn(found)
        assert found.count(".cycle a") == REPORTED
        with found.page.expect_popup() as popup:
            found.page.locator(".cycle a").first.click()
        report = popup.value
        report.wait_for_selector("p.decision", timeout=SOON * 3)  # another process draws it now
        assert report.url.startswith(served.url + "api/v1/reports/c0000")
        assert report.title().startswith("Report of cycle")
        assert found.complaints == []


@pytest.mark.full
def test_ten_thousand_cycles_make_it_no_slower(browser: Browser, tmp_path: Path) -> None:
    with closing(open_ledger(Settings(state_dir=tmp_path).ledger.url)) as ledger:
        many_cycles(ledger, 10_000)
    with serving(tmp_path) as served, visited(browser, served.url) as found:
        with within(4):
            found.page.wait_for_selector(".cycle")
            found.page.wait_for_selector("table.versions")
        assert found.count("*") < 1500
        with within(2):
            found.page.click("[data-key=more-cycles]")
            expect(found.page.locator(".cycle")).to_have_count(20)
        sizes = "performance.getEntriesByType('resource').map(one => one.decodedBodySize)"
        assert max(found.page.evaluate(sizes)) < 500_000
