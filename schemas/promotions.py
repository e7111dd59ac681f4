"""Who may move the champion pointer, and what persons order beside that."""

from __future__ import annotations

from enum import StrEnum


class PromotionAction(StrEnum):
    """How a version became champion."""

    CYCLE = "cycle"
    """Its cycle ended, and nothing stood against it."""
    PROMOTE = "promote"
    """A person has chosen it."""
    ROLLBACK = "rollback"
    """A person has gone back to it."""


class InterventionAction(StrEnum):
    """What a person can order beside a promotion."""

    PIN = "pin"
    """The champion stays; challengers are registered, and not promoted."""
    UNPIN = "unpin"
    PAUSE = "pause"
    """No cycle starts, and nothing is promoted but by a person."""
    RESUME = "resume"
