"""Deletes versions by order of the consumer, and tells how large versions are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.manifest import ModelManifest
from stores.errors import StoreError
from stores.model_registry import ModelRegistry


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of the versions to delete."""

    freed: dict[int, int] = field(default_factory=dict)
    """Version that is gone: the bytes that it had; 0 where it was not there, or was not whole."""
    left: dict[int, str] = field(default_factory=dict)
    """Version that is still there: why."""


def prune(
    registry: ModelRegistry, versions: Mapping[int, str], fence: int, spared: Mapping[int, str] | None = None
) -> Pruned:
    """Delete versions, each given with the cycle that made it. One that cannot be deleted does not stop the others.

    What is `spared`, as something outside serves it, is left with the reason.
    """
    spared = spared or {}
    pruned = Pruned(left={version: spared[version] for version in versions if version in spared})
    for version, cycle_id in versions.items():
        if version in spared:
            continue
        try:
            found = registry.find(cycle_id)
            registry.delete(version, cycle_id, fence)
        except StoreError as error:
            pruned.left[version] = str(error)
        else:
            pruned.freed[version] = size_of(found.manifest) if found and found.version == version else 0
    return pruned


def sizes(registry: ModelRegistry) -> dict[int, int]:
    """The bytes of every version that is there."""
    return {found.version: size_of(found.manifest) for found in registry.versions()}


def size_of(manifest: ModelManifest) -> int:
    """The bytes of a version's files, without its manifest."""
    return sum(entry.size for entry in manifest.files)
