"""Screenshots of docs/report.md, of real cycles in a real browser: light and dark, as a reader sees them.

Needs Chromium; the others of `make plots` do not.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from benchmarks.plots.report_samples import sample_cycles
from benchmarks.plots.style import IMAGES
from schemas.cycle import Outcome
from trainer.report.files import draw_page

_WIDTH = 1000  # pixels
_NARROW = 560
_SHOTS: tuple[tuple[str, Outcome, Literal["light", "dark"], int, str, str], ...] = (
    ("report_refused", Outcome.REJECTED, "light", _WIDTH, "header", "main > section:nth-of-type(2) > .wide"),
    ("report_models", Outcome.REJECTED, "dark", _WIDTH, "main .pictures", "main .pictures"),
    ("report_slices", Outcome.REGISTERED, "light", _NARROW, "figure:has([id^=slices-])", "figure:has([id^=slices-])"),
    ("report_held", Outcome.HELD, "dark", _NARROW, "figure:has([id^=guard-])", "figure:has([id^=guard-])"),
)
"""Name, outcome of the cycle, colour scheme, width, and the first and last element of each picture."""


def draw() -> None:
    """Run the cycles, and take the pictures."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("screenshots of reports are left out: install chromium")
        return
    with TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        results = sample_cycles(folder)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for shot, outcome, scheme, width, first, last in _SHOTS:
            path = draw_page(folder / "reports" / results[outcome].cycle_id)
            assert path is not None
            _take(browser, path, scheme, width, (first, last), IMAGES / f"{shot}.png")
        browser.close()


def _take(
    browser: Browser, path: Path, scheme: Literal["light", "dark"], width: int, ends: tuple[str, str], to: Path
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(path.as_uri())
    boxes = [page.locator(end).first.bounding_box() for end in ends]
    assert boxes[0] is not None
    assert boxes[1] is not None
    top, bottom = boxes[0]["y"] - 12, boxes[1]["y"] + boxes[1]["height"] + 12
    clip = {"x": 0.0, "y": max(top, 0.0), "width": float(width), "height": bottom - max(top, 0.0)}
    page.screenshot(path=str(to), full_page=True, clip=clip)  # type: ignore[arg-type]
    page.close()


if __name__ == "__main__":
    draw()
