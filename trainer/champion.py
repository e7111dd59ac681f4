"""The versions that a challenger is measured against: the champion, and the anchor of drift."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.cycle import CycleRequest
from schemas.manifest import MODEL_FILE, ModelManifest
from trainer.errors import SpaceError
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


def champion_of(registry: ModelRegistry, request: CycleRequest) -> Standing | None:
    """The base version; where the request names none, the newest there is, so that no ledger lost can pass the gate by.

    Raises:
        RegistryError: the version is not there or damaged.
        SpaceError: the cycle should follow a version that was trained on other columns.
    """
    version = request.base_version
    if version is None:
        version = max((found.version for found in registry.versions()), default=None)
    if version is None:
        return None
    champion = _standing(registry, version)
    if comparable(champion, request) or request.kind.from_scratch:
        return champion
    raise SpaceError(
        f"version {version} was trained on other columns of the feature group than the configured ones; "
        "train from scratch with `retrainer train --full`"
    )


def anchor_of(registry: ModelRegistry, request: CycleRequest) -> Standing | None:
    """The last version trained from scratch, where that is another than the champion."""
    if request.anchor_version is None or request.anchor_version == request.base_version:
        return None
    return _standing(registry, request.anchor_version)


def comparable(other: Standing, request: CycleRequest) -> bool:
    """Whether a version takes the rows that the request's models take."""
    return other.manifest.feature_group.columns == request.settings.feature_group.columns


def _standing(registry: ModelRegistry, version: int) -> Standing:
    folder = registry.fetch(version)
    return Standing(version, folder, read_manifest(folder))
