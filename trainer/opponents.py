"""The versions that a challenger is measured against, found and loaded before anything is learned.

The champion is what a cycle follows. The baseline is the last version trained from scratch and the best ones since. A
version of the baseline that is gone is left out, and the report says so. A champion that is gone holds the cycle: a
person has to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.cycle import CycleRequest
from schemas.manifest import MODEL_FILE, ModelManifest
from stores.errors import RegistryError, StaleFence
from stores.model_registry import ModelRegistry
from stores.registry.files import read_manifest
from trainer.errors import ChampionGone
from trainer.model import TwoTower, load

_FULL = "`retrainer train --full` trains from scratch without it"


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A registered version at hand: its files, checked, what they are, and its model, which nobody trains."""

    version: int
    folder: Path
    manifest: ModelManifest
    model: TwoTower

    def copy(self) -> TwoTower:
        """Its model, loaded afresh, to be trained."""
        return load(self.folder / MODEL_FILE)


@dataclass(frozen=True, slots=True)
class Opponents:
    """Whom the challenger is compared with.

    Attributes:
        champion: None where there is nobody to follow.
        alone_because: why there is none.
        baseline: the last version trained from scratch and the best ones since, but for the champion.
        notes: which of them could not be had, and why.
    """

    champion: LoadedVersion | None
    alone_because: str = "first version"
    baseline: Sequence[LoadedVersion] = ()
    notes: Sequence[str] = ()


def opponents_of(registry: ModelRegistry, request: CycleRequest) -> Opponents:
    """The base version and the baseline; where the request names no base, the newest version there is.

    So no ledger lost can pass the gate by. A cycle that trains from scratch goes on alone where that version is gone,
    or cannot be scored fairly.

    Raises:
        ChampionGone: the version to follow is not there, damaged, or of other columns or another split.
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
    """Why a version cannot be followed or scored beside the challenger; None if it can."""
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
