"""The versions that a challenger is measured against: the champion, and the anchor of drift."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.cycle import CycleRequest
from schemas.manifest import MODEL_FILE, ModelManifest
from trainer.errors import RegistryError, SpaceError
from trainer.model import TwoTower, load
from trainer.registry.files import read_manifest
from trainer.registry.protocol import ModelRegistry


@dataclass(frozen=True, slots=True)
class Standing:
    """A registered version at hand: its files, checked, and what they are."""

    version: int
    folder: Path
    manifest: ModelManifest

    def model(self) -> TwoTower:
        """Its model, loaded afresh."""
        return load(self.folder / MODEL_FILE)


@dataclass(frozen=True, slots=True)
class Opponent:
    """Who the challenger is compared with: a champion, or nobody and why."""

    champion: Standing | None
    alone_because: str = "first version"


def opponent_of(registry: ModelRegistry, request: CycleRequest) -> Opponent:
    """The base version; where the request names none, the newest there is, so that no ledger lost can pass the gate by.

    A cycle that trains from scratch goes on alone where that version is gone, or cannot be scored fairly.

    Raises:
        RegistryError: the version to follow is not there or damaged.
        SpaceError: the version to follow was trained on other columns, or on users who are held out now.
    """
    version = request.base_version
    if version is None:
        version = max((found.version for found in registry.versions()), default=None)
    if version is None:
        return Opponent(None)
    try:
        champion = _standing(registry, version)
    except RegistryError as error:
        if request.kind.from_scratch:
            return Opponent(None, f"version {version} is not to be had ({error})")
        raise
    if (why := incomparable(champion, request)) is None:
        return Opponent(champion)
    if request.kind.from_scratch:
        return Opponent(None, f"version {version} {why}")
    raise SpaceError(f"version {version} {why}; train from scratch with `retrainer train --full`")


def anchor_of(registry: ModelRegistry, request: CycleRequest) -> Standing | None:
    """The last version trained from scratch, where that is another than the champion and can be scored."""
    if request.anchor_version is None or request.anchor_version == request.base_version:
        return None
    anchor = _standing(registry, request.anchor_version)
    return anchor if incomparable(anchor, request) is None else None


def incomparable(other: Standing, request: CycleRequest) -> str | None:
    """Why a version cannot be followed or scored beside the challenger; None if it can."""
    if other.manifest.feature_group.columns != request.settings.feature_group.columns:
        return "was trained on other columns of the feature group than the configured ones"
    if other.manifest.split != request.settings.split:
        return "was trained with another split, so on users who are held out now"
    return None


def _standing(registry: ModelRegistry, version: int) -> Standing:
    folder = registry.fetch(version)
    return Standing(version, folder, read_manifest(folder))
