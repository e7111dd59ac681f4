"""Draws the page of a cycle in a process of its own, beside the trainer, which goes on meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from schemas.evidence import Evidence
from schemas.reports import EVIDENCE_FILE, PAGE_FILE

_TAKES = 60.0  # seconds at most, of which nobody should ever see more than two


class PageProcess:
    """`python -m trainer.report`, started at once in `folder`, which is made; it ends by itself."""

    def __init__(self, evidence: Evidence, folder: Path) -> None:
        self._page = folder / PAGE_FILE
        folder.mkdir(parents=True, exist_ok=True)
        (folder / EVIDENCE_FILE).write_text(evidence.model_dump_json(exclude_defaults=True))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trainer.report", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def html(self) -> bytes | None:
        """The page, waited for; None where it could not be drawn."""
        try:
            self._process.wait(_TAKES)
            return self._page.read_bytes()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None
        except OSError:
            return None
