"""Draws the pages of cycles that have ended, one at a time, each in a process of its own with little priority.

A trainer leaves the evidence of its cycle in a folder, and ends. Here a thread looks for evidence without a page. So
no cycle waits for its page, a page that a crash has prevented is drawn later, and what draws needs no memory of ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import structlog

from consumer.environment import for_child
from consumer.routine import Routine
from schemas.log_events.cycles import REPORT_NOT_DRAWN
from schemas.reports import EVIDENCE_FILE, PAGE_FILE

log = structlog.get_logger()

_EVERY = 2.0  # seconds between looks
_ONE_AT_A_TIME = threading.Lock()
_LONGEST = 90.0  # seconds; the process gives itself less


class PageDrawer(Routine):
    """A follower (`consumer.followers`) that draws the pages of the cycles in the folder `reports`."""

    def __init__(self, reports: Path) -> None:
        self._reports = reports
        self._given_up: set[tuple[str, int]] = set()
        super().__init__("report-pages", self._run)

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                wanted = self._wanted()
                if wanted is not None:
                    self._draw(*wanted, stopping)
                    continue
            except OSError as error:  # a folder that is just removed, or a machine that starts no process
                log.warning(REPORT_NOT_DRAWN, cycle_id=None, reason=str(error))
            stopping.wait(_EVERY)

    def _wanted(self) -> tuple[Path, int] | None:
        """The folder of a cycle whose evidence is newer than its page, and when the evidence was written."""
        for evidence in sorted(self._reports.glob(f"*/{EVIDENCE_FILE}")):
            written = _written(evidence)
            if not is_drawn(evidence.parent) and (evidence.parent.name, written) not in self._given_up:
                return evidence.parent, written
        return None

    def _draw(self, folder: Path, written: int, stopping: threading.Event) -> None:
        if (why := draw(folder, stopping)) is not None:
            self._given_up.add((folder.name, written))
            log.warning(REPORT_NOT_DRAWN, cycle_id=folder.name, reason=why)


def draw(folder: Path, stopping: threading.Event) -> str | None:
    """Draw the page of the cycle whose evidence lies in `folder`, in a process of its own; one at a time.

    Returns:
        Why it could not be drawn; None where it is drawn, or where `stopping` was set meanwhile.

    Raises:
        OSError: no process can be started.
    """
    with _ONE_AT_A_TIME:
        if stopping.is_set() or is_drawn(folder):
            return None
        drawing = subprocess.Popen(
            [sys.executable, "-m", "trainer.report", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=for_child(os.environ),
            start_new_session=True,  # Ctrl-C on a terminal is for the service
        )
        waited = 0.0
        try:
            while drawing.poll() is None and waited < _LONGEST and not stopping.is_set():
                stopping.wait(0.1)
                waited += 0.1
        finally:
            if drawing.poll() is None:
                drawing.kill()
            _, said = drawing.communicate()
    if drawing.returncode == 0 or stopping.is_set():
        return None
    return (said.decode(errors="replace").splitlines()[-1:] or [f"exit code {drawing.returncode}"])[0]


def is_drawn(folder: Path) -> bool:
    """Whether the page in the folder of a cycle is there, and no older than the evidence."""
    written = _written(folder / EVIDENCE_FILE)
    return 0 < written <= _written(folder / PAGE_FILE)


def _written(path: Path) -> int:
    """When a file was written, in nanoseconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
