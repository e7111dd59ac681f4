"""A headless Chromium. Where there is none its tests are skipped, or fail where REQUIRE_CHROMIUM=1."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from tests.browser.serving import Serving, past, serving

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each opens pages of its own."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        _left_out(f"none of {', '.join(_NAMES)} is installed")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except Error as error:
            _left_out(f"{program} does not start: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture(scope="session")
def short_past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a past of a few cycles, to be copied."""
    return past(tmp_path_factory.mktemp("past"), cycles=14, minutes=60)


@pytest.fixture
def served(short_past: Path, tmp_path: Path) -> Iterator[Serving]:
    """The page of a service with a short past."""
    with serving(copytree(short_past, tmp_path / "state")) as found:
        yield found


def _left_out(lacking: str) -> None:
    if os.environ.get("REQUIRE_CHROMIUM") == "1":
        pytest.fail(f"REQUIRE_CHROMIUM=1, but Chromium cannot run: {lacking}")
    pytest.skip(f"Chromium left out: {lacking}")
