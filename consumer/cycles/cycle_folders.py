"""The folders of cycles on this machine: request, result and what a trainer leaves beside them."""

from __future__ import annotations

import shutil
from pathlib import Path


class CycleFolders:
    """The folders under a trainer's `work_dir`; each is named by the id of its cycle."""

    def __init__(self, work_dir: Path) -> None:
        self._root = work_dir / "cycles"

    def of(self, cycle_id: str) -> Path:
        """The folder of a cycle; whether the folder is there or not."""
        return self._root / cycle_id

    def remove(self, cycle_id: str) -> None:
        """Remove the folder of a cycle that has ended."""
        shutil.rmtree(self.of(cycle_id), ignore_errors=True)

    def keep_only(self, cycle_id: str | None) -> None:
        """Remove the folders of all other cycles, which ended while this process was dead, or on another instance."""
        for folder in self._root.glob("c*"):
            if folder.name != cycle_id:
                shutil.rmtree(folder, ignore_errors=True)
