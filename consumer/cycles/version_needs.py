"""Who needs versions, as far as the ledger does not know it: by the settings, and by what lies beside the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from consumer.model_events.followers import channels_of
from consumer.settings import Settings
from schemas.jobs.vectors import current_set, stamp_of


@dataclass(frozen=True, slots=True)
class Needs:
    """Asked each time before versions are marked; see `consumer.ledger.retention.needed`."""

    channels: Collection[str] = ()
    """Where model events go: of those that wait for such a channel the versions stay."""
    further: Callable[[], Mapping[int, str]] = dict
    """Version: why it stays, by what lies outside the ledger."""


def needs_of(settings: Settings) -> Needs:
    """The needs that follow from the settings. Whoever stamps something with a version adds a line here."""
    channels = [channel.value for channel in channels_of(settings)]
    return Needs(channels, lambda: _published(settings.vectors.out))


def _published(folder: Path | None) -> dict[int, str]:
    """The version whose vectors are published, if any are."""
    if folder is None or (current := current_set(folder)) is None or (stamp := stamp_of(current)) is None:
        return {}
    return {stamp.origin.version: "its vectors are published"}
