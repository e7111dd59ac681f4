"""Which cycles were told to the collector, in a small file of the state folder.

Where the file is lost, or another instance takes over, the cycles of the last hour are told again. Their ids follow
from the cycle, so a collector gets the same spans, and no second trace.
"""

from __future__ import annotations

import json
from pathlib import Path

from schemas.private import private_file

FILE = "traces.json"


class Told:
    """The number of the last cycle that was told, of one ledger.

    Args:
        state_dir: the state folder.
        ledger_id: of the ledger; what was told of another one does not count.
    """

    def __init__(self, state_dir: Path, ledger_id: str) -> None:
        self._file = state_dir / FILE
        self._ledger_id = ledger_id

    def last(self) -> int:
        """The number; 0 where none is known."""
        try:
            known = json.loads(self._file.read_text())
            return int(known["number"]) if known["ledger_id"] == self._ledger_id else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def note(self, number: int) -> None:
        """The cycle of that number was told, or given up.

        Raises:
            OSError: it cannot be written.
        """
        new = private_file(self._file.with_suffix(".new"))
        new.write_text(json.dumps({"ledger_id": self._ledger_id, "number": number}))
        new.replace(self._file)
