"""When a changed setting takes effect.

A service keeps the settings of its start: a cycle, its decision and its record all speak of the same ones (P8). A
restart loses nothing. What a process reads each time it runs takes effect with that.
"""

from __future__ import annotations

from enum import StrEnum


class TakesEffect(StrEnum):
    """When a change of a setting counts."""

    NEXT_START = "next start"
    """Of `retrainer run`; commands read their settings each time they are called."""
    NEXT_CHECK = "next health check"
    """Each check reads the settings; variables of a container stay those that it was started with."""
    NEXT_BRIDGE = "next start of the bridge"


_BY_SECTION = {"health": TakesEffect.NEXT_CHECK, "bridge": TakesEffect.NEXT_BRIDGE}


def takes_effect(section: str) -> TakesEffect:
    """When the settings of a section take effect; an empty name for those of none."""
    return _BY_SECTION.get(section, TakesEffect.NEXT_START)
