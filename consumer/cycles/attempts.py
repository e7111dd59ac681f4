"""The attempts at the cycle under way, kept in a file of its folder: a crash of ours leaves them for the result.

What cannot be written or read there is left out of the result, and changes nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from schemas.cycle import Attempt
from schemas.private import private_file, private_folder

_FILE = "attempts.json"
_ATTEMPTS: TypeAdapter[tuple[Attempt, ...]] = TypeAdapter(tuple[Attempt, ...])


class Attempts:
    """The attempts at one cycle. Times are seconds since the epoch.

    Args:
        folder: of the cycle on this machine; it may not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        self._seen = False
        try:
            self._known = _ATTEMPTS.validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            self._known = ()

    def began(self, now: float) -> None:
        """A trainer was given the cycle. An earlier attempt that is still open was cut short: nobody saw its end."""
        self._seen = True
        self._keep((*self._known, Attempt(began=_moment(now))))

    def ended(self, now: float, error: str | None = None) -> None:
        """The last attempt has ended, for a reason where it failed. Nothing changes where that is known, or unseen."""
        if self._seen and self._known[-1].ended is None:
            *before, last = self._known
            self._keep((*before, last.model_copy(update={"ended": _moment(now), "error": error})))

    def told(self) -> tuple[Attempt, ...]:
        """All that are known, in order."""
        return self._known

    def _keep(self, attempts: tuple[Attempt, ...]) -> None:
        self._known = attempts
        with suppress(OSError):
            private_folder(self._file.parent)
            new = private_file(self._file.with_suffix(".new"))
            new.write_bytes(_ATTEMPTS.dump_json(attempts))
            new.replace(self._file)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
