"""Units of settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a number, for the reference of settings; says nothing about which numbers are allowed."""

    name: str


SECONDS = Unit("seconds")
"""Of durations, which are shown as people write them."""
