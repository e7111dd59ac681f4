"""The service is watched while it runs: its page is open in a browser, and it is scraped all the time.

`scrapes.jsonl` has a line for each request, `tab.jsonl` one for each look at the browser's tab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from consumer.status import read_status
from tests.soak.sampling import append
from tests.waiting import wait_until
from tests.watching.scraper import Scraper
from tests.watching.tab import page_open

SCRAPES, TAB = "scrapes.jsonl", "tab.jsonl"


@contextmanager
def watched(folder: Path, state: Path, say: Callable[[str], None]) -> Iterator[None]:
    """For the block, the page of the service in `state` is open, and its metrics and status are asked for."""
    url = wait_until(lambda: _served(state), 30, "the service to say where its page is")
    say(f"the page at {url} is open in a browser, and is scraped")
    scraper = Scraper(url, lambda scrape: append(folder / SCRAPES, scrape.as_json()))
    with page_open(url, folder / TAB):
        scraper.start()
        try:
            yield
        finally:
            scraper.stop()


def _served(state: Path) -> str:
    status = read_status(state / "status.json")
    return (status.http or "") if status else ""
