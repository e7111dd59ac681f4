"""What a step of the setup has made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Made(StrEnum):
    """The result of a step."""

    MADE = "made"
    PRESENT = "there already"
    WOULD = "would make"


@dataclass(frozen=True, slots=True)
class Step:
    """A thing that exists now, or would be made."""

    made: Made
    what: str
