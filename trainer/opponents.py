"""The versions that a challenger is compared with, found and loaded before the fit.

A cycle follows the champion. The baseline is the last version trained from scratch and the best versions since. A
missing version of the baseline is left out, with a note in the report. A missing champion holds the cycle: a person has
to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.cycle import CycleRequest
from schemas.manifest import MODEL_FILE, ModelManifest
from stores.errors import RegistryError, StaleFence
from stores.model_registry import ModelRegistry
from stores.registry.files import read_manifest
from trainer.errors import ChampionGone
from trainer.matrix.remembered import Remembered
from trainer.model import TwoTower, load

_FULL = "`retrainer train --full` trains from scratch without it"


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A registered version: its checked files, its manifest, and its model, which is never trained."""

    version: int
    folder: Path
    manifest: ModelManifest
    model: TwoTower

    def copy(self) -> TwoTower:
        """A second copy of its model, to be trained."""
        return load(self.folder / MODEL_FILE)


@dataclass(frozen=True, slots=True)
class Opponents:
    """The versions that the challenger is compared with.

    Attributes:
        champion: None where there is no version to follow.
        alone_because: why there is no champion.
        baseline: the last version trained from scratch and the best ones since, without the champion.
        notes: which versions of the baseline are missing, and why.
    """

    champion: LoadedVersion | None
    alone_because: str = "first version"
    baseline: Sequence[LoadedVersion] = ()
    notes: Sequence[str] = ()

    def remembering(self) -> Opponents:
        """The same, with a champion that embeds everybody once; for a cycle whose rows do not change any more."""
        if self.champion is None:
            return self
        model = replace(self.champion.model, remembered=Remembered())
        return replace(self, champion=replace(self.champion, model=model))


def opponents_of(registry: ModelRegistry, request: CycleRequest) -> Opponents:
    """The base version and the baseline; where the request names no base, the newest version there is.

    So even a lost ledger does not get a version past the gate. A cycle that trains from scratch goes on without a
    champion where that version is missing, or cannot be scored fairly.

    Raises:
        ChampionGone: the version to follow is missing, damaged, or of other columns or another split.
    """
    version = request.base_version
    if version is None:
        version = max((found.version for found in registry.versions()), default=None)
    if version is None:
        return Opponents(None)
    try:
        champion = _standing(registry, version)
    except StaleFence:
        raise
    except RegistryError as error:
        if request.kind.from_scratch:
            return Opponents(None, f"version {version} is not to be had ({error})")
        raise ChampionGone(
            f"version {version}, the champion, cannot be read from the registry: {error}", f"restore it, or {_FULL}"
        ) from error
    if (why := incomparable(champion, request)) is not None:
        if request.kind.from_scratch:
            return Opponents(None, f"version {version} {why}")
        raise ChampionGone(f"version {version}, the champion, {why}", f"set that back, or {_FULL}")
    return _with_baseline(registry, request, champion)


def incomparable(other: LoadedVersion, request: CycleRequest) -> str | None:
    """Why a version can be neither followed nor compared with the challenger; None where it can."""
    if other.manifest.feature_group.columns != request.settings.feature_group.columns:
        return "was trained on other columns of the feature group than the configured ones"
    if other.manifest.split != request.settings.split:
        return "was trained with another split, so on users who are held out now"
    return None


def _with_baseline(registry: ModelRegistry, request: CycleRequest, champion: LoadedVersion) -> Opponents:
    wanted = dict.fromkeys([request.baseline_version, *request.best_since])
    baseline, notes = [], []
    for version in wanted:
        if version is None or version == champion.version:
            continue
        try:
            found = _standing(registry, version)
            why = incomparable(found, request)
        except StaleFence:
            raise
        except RegistryError as error:
            why = f"cannot be read from the registry: {error}"
        if why is None:
            baseline.append(found)
        else:
            notes.append(f"judged without version {version} of the baseline, which {why}")
    return Opponents(champion, baseline=baseline, notes=notes)


def _standing(registry: ModelRegistry, version: int) -> LoadedVersion:
    folder = registry.fetch(version)
    return LoadedVersion(version, folder, read_manifest(folder), load(folder / MODEL_FILE))
