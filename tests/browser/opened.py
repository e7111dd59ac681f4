"""What a page is in a browser: what it loads, what it complains of, how it fits, and which colours it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

PHONE, DESK = 375, 1100
Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Opened:
    """A page, with all that it has asked for beside itself, and all that the browser has said."""

    page: Page
    requests: list[str]
    complaints: list[str]

    def text(self, where: str = "body") -> str:
        return self.page.inner_text(where)

    def count(self, what: str) -> int:
        return self.page.locator(what).count()

    def fits(self) -> bool:
        """Whether the page as a whole needs no sideways scrolling."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    def colour(self, where: str, which: str = "color") -> str:
        script = "([where, which]) => getComputedStyle(document.querySelector(where)).getPropertyValue(which)"
        return str(self.page.evaluate(script, [where, which]))


@contextmanager
def opened(browser: Browser, path: Path, scheme: Scheme = "light", width: int = DESK) -> Iterator[Opened]:
    """A file, opened without a network."""
    with _at(browser, path.as_uri(), scheme, width, offline=True) as found:
        found.requests.remove(path.as_uri())
        yield found


@contextmanager
def visited(browser: Browser, url: str, scheme: Scheme = "light", width: int = DESK) -> Iterator[Opened]:
    """A page that a server gives."""
    with _at(browser, url, scheme, width, offline=False) as found:
        yield found


@contextmanager
def _at(browser: Browser, url: str, scheme: Scheme, width: int, *, offline: bool) -> Iterator[Opened]:
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, offline=offline, timezone_id="Europe/Vienna"
    )
    page = context.new_page()
    found = Opened(page, [], [])
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("console", lambda said: found.complaints.append(said.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.goto(url)
    yield found
    context.close()
