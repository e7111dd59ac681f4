"""All events of the log."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from schemas.log_events import (
    bridge,
    cycles,
    deployment,
    http,
    listener,
    model_events,
    notifications,
    promotions,
    service,
    tracing,
)
from schemas.log_events.event import LogEvent

_ROOMS: tuple[ModuleType, ...] = (
    service,
    cycles,
    promotions,
    model_events,
    notifications,
    listener,
    deployment,
    http,
    tracing,
    bridge,
)


def events_of(room: ModuleType) -> dict[str, LogEvent]:
    """The events of a module by the names of their constants, in order."""
    return {name: event for name, event in vars(room).items() if isinstance(event, LogEvent)}


BY_ROOM: Mapping[str, Mapping[str, LogEvent]] = MappingProxyType(
    {room.__name__: MappingProxyType(events_of(room)) for room in _ROOMS}
)
"""By module, and there by the name of the constant."""

BY_SENTENCE: Mapping[str, LogEvent] = MappingProxyType(
    {str(event): event for events in BY_ROOM.values() for event in events.values()}
)
"""By the text as logged."""
