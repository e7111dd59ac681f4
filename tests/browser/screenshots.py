"""Draws the pictures of docs/page.md: `python -m tests.browser.screenshots`, or with a folder to put them elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import sync_playwright

from schemas.cycle import Outcome
from tests.browser.opened import PHONE, Opened, visited
from tests.browser.serving import past, serving
from tests.browser.test_service_page import drawn

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PROMISE: dict[str, Any] = {"slo": {"freshness": "45m"}}
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def draw(folder: Path) -> None:
    """The page while a cycle runs, light and on a phone, and while data are held, dark."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    with TemporaryDirectory() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        state = past(Path(place) / "state", minutes=1)
        with serving(shutil.copytree(state, Path(place) / "running"), **PROMISE) as served:
            served.filling.claim(time.time() - 41)
            served.filling.pending(37, time.time() - 30)
            with visited(browser, served.url) as found:
                picture(drawn(found), folder / "page-light.png", 1640)
            with visited(browser, served.url, width=PHONE) as found:
                picture(drawn(found), folder / "page-phone.png", 1150)
        with serving(shutil.copytree(state, Path(place) / "held"), **PROMISE) as served:
            served.filling.cycle(Outcome.HELD, time.time() - 60)
            served.filling.dead_letter(time.time())
            served.says = {"hold_until": time.time() + 540}
            with visited(browser, served.url, "dark") as found:
                picture(drawn(found), folder / "page-dark.png", 1420)
        browser.close()


def picture(found: Opened, path: Path, height: int) -> None:
    """The upper part of the page, so high."""
    width = found.page.viewport_size
    assert width is not None
    found.page.set_viewport_size({"width": width["width"], "height": height})
    found.page.wait_for_timeout(600)  # redrawn, where its width has changed
    found.page.screenshot(path=path, animations="disabled")
    print(f"{path.name}: {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
