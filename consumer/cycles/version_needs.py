"""Who needs versions, as far as the ledger does not know it: by the settings, and by what lies beside the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from consumer.settings import Settings


@dataclass(frozen=True, slots=True)
class Needs:
    """Asked each time before versions are marked; see `consumer.ledger.needed`."""

    channels: Collection[str] = ()
    """Where model events go: of those that wait for such a channel the versions stay."""
    further: Callable[[], Mapping[int, str]] = dict
    """Version: why it stays, by what lies outside the ledger."""


def needs_of(settings: Settings) -> Needs:  # noqa: ARG001
    """The needs that follow from the settings. Whoever stamps something with a version adds a line here."""
    return Needs()
