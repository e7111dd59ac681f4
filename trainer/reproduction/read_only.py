"""A registry as it was before a version: versions are fetched from the real one, and none is registered."""

from __future__ import annotations

from pathlib import Path

from stores.errors import RegistryError
from stores.model_registry import ModelRegistry, RegisteredVersion


class ReadOnlyRegistry:
    """The versions of `registry` with a lower number than `before`."""

    def __init__(self, registry: ModelRegistry, before: int) -> None:
        self._registry = registry
        self._before = before

    def find(self, cycle_id: str) -> RegisteredVersion | None:
        """None for the version itself: the cycle has to run."""
        found = self._registry.find(cycle_id)
        return found if found is not None and found.version < self._before else None

    def enter(self, fence: int) -> None:
        """Nothing is written, so no token is needed."""

    def register(self, staged: Path, fence: int = 0, min_version_exclusive: int = 0) -> RegisteredVersion:  # noqa: ARG002
        """Refused.

        Raises:
            RegistryError: always.
        """
        raise RegistryError(f"{staged} is not registered: a version is only trained again here")

    def fetch(self, version: int) -> Path:
        """See ModelRegistry."""
        return self._registry.fetch(version)

    def delete(self, version: int, cycle_id: str, fence: int = 0) -> None:  # noqa: ARG002
        """Refused.

        Raises:
            RegistryError: always.
        """
        raise RegistryError(f"version {version} of {cycle_id} is not deleted: a version is only trained again here")

    def versions(self) -> list[RegisteredVersion]:
        """See ModelRegistry."""
        return [found for found in self._registry.versions() if found.version < self._before]
