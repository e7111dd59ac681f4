"""The page of a service, open in a headless Chromium, in a process of its own: `python -m tests.watching.tab URL FILE`.

Until it is told to stop (SIGTERM) it appends a line of JSON every few seconds: the bytes of JavaScript objects that are
still reachable, nodes and listeners of the document, what the page said on its console as an error, and how often it
has asked the service for something.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import wait_until

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_EVERY = 10.0
_LONGEST_START = 60.0
_COUNTERS = {"JSHeapUsedSize": "heap", "Nodes": "nodes", "JSEventListeners": "listeners"}


def browser_missing() -> str | None:
    """Why no page can be opened here; None where one can."""
    return None if _program() else f"none of {', '.join(_NAMES)} is installed"


def _program() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def page_open(url: str, kept: Path) -> Iterator[None]:
    """The page at `url` is open in a browser for as long as the block runs; what is seen of it goes to `kept`."""
    command = [sys.executable, "-m", "tests.watching.tab", url, str(kept)]
    # A session of its own: a Ctrl-C at the terminal ends the run in good order, and the run ends the browser.
    process = subprocess.Popen(command, start_new_session=True)
    try:
        wait_until(lambda: _opened(process, kept), _LONGEST_START, f"the page at {url} to be open")
        yield
        if process.poll() is not None:
            raise AssertionError(f"the browser ended with {process.returncode} while the page was to be open")
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _opened(process: subprocess.Popen[bytes], kept: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"the browser ended with {process.returncode} before the page was open")
    return kept.exists() and kept.stat().st_size > 0


def main(url: str, kept: Path) -> int:
    """Open the page and look at it until told to stop; 1 where it cannot be opened."""
    from playwright.sync_api import Error, sync_playwright

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: ended.set())
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=_program(), args=["--no-sandbox"])
            page = browser.new_page()
            seen = _Seen(page)
            page.goto(url, wait_until="load", timeout=1000 * _LONGEST_START)
        except Error as error:
            print(f"the page at {url} cannot be opened: {error}", file=sys.stderr)
            return 1
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        due = time.monotonic()
        while not ended.is_set():
            if time.monotonic() >= due:
                due += _EVERY
                with kept.open("a") as out:
                    out.write(json.dumps(seen.now(session)) + "\n")
            page.wait_for_timeout(200)  # here, and nowhere else, the events of the page are heard
        browser.close()
    return 0


class _Seen:
    """What is to be seen of a page from outside."""

    def __init__(self, page: Any) -> None:
        self._errors: list[str] = []
        self._asked = 0
        page.on("console", lambda said: self._errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self._errors.append(str(error)))
        page.on("request", lambda _: self._count())

    def _count(self) -> None:
        self._asked += 1

    def now(self, session: Any) -> dict[str, Any]:
        """All of it; the garbage is collected before, so that what counts is what is held."""
        session.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        told = {ours: int(metrics[theirs]) for theirs, ours in _COUNTERS.items()}
        errors, self._errors = self._errors, []
        return {"at": round(time.time(), 2), **told, "asked": self._asked, "errors": errors[:5]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
