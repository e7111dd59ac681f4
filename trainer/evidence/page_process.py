"""Draws the page of a cycle in a process of its own, beside the trainer, which goes on meanwhile."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from schemas.evidence import Evidence
from schemas.reports import EVIDENCE_FILE, PAGE_FILE

_TAKES = 60.0  # seconds at most, of which nobody should ever see more than one


class PageProcess:
    """`python -m trainer.report`, begun ahead of time, so that its imports are done while the gate still judges.

    Its standard input is its lifeline: where this process is gone, it ends.
    """

    def __init__(self) -> None:
        self._page: Path | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trainer.report"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )

    def draw(self, evidence: Evidence, folder: Path) -> None:
        """Have the page of `evidence` drawn in `folder`, which is made; returns at once."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / EVIDENCE_FILE).write_text(evidence.model_dump_json(exclude_defaults=True))
        self._page = folder / PAGE_FILE
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, and there will be no page
            self._process.stdin.write(f"{folder}\n".encode())
            self._process.stdin.flush()

    def html(self) -> bytes | None:
        """The page, waited for; None where it could not be drawn, or was not asked for."""
        if self._page is None:
            return None
        try:
            self._process.wait(_TAKES)
            return self._page.read_bytes()
        except (subprocess.TimeoutExpired, OSError):
            return None

    def end(self) -> None:
        """End the process, whether it has drawn or not."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
