"""What a rule of the checker finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["lost", "duplicated", "wrong"]
Found = Iterator[tuple[Kind, str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be."""

    kind: Kind
    what: str
