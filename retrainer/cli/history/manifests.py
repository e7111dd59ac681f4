"""Settings and packages of a version that a release before the record of both has made: they are in its manifest."""

from __future__ import annotations

from typing import Any

from consumer.cluster import ClusterTrouble, ask_cluster
from consumer.settings import Settings
from schemas.cycle import LocalRegistry, Outcome
from schemas.recorded import recorded


def with_settings(cycle: dict[str, Any], settings: Settings) -> tuple[dict[str, Any], str | None]:
    """A cycle whose result says by which settings and packages it was made, where that can be found out.

    Returns:
        The cycle, and why it does not say so; None where it does.
    """
    result = cycle["result"]
    if result is None or result.get("settings") is not None:
        return cycle, None if result else "the cycle is still running"
    version = cycle["version"]
    if version is None and cycle["state"] == Outcome.FAILED:
        return cycle, "its trainer ended without a word"
    if version is None:
        return cycle, "an earlier release ran it and registered no version, so its settings are not on record"
    if version["deleted_at"] is not None:
        return cycle, "an earlier release made it, and its manifest was deleted with it from the registry"
    manifest, why = _manifest(cycle, settings)
    if manifest is None:
        return cycle, why
    found = {"settings": recorded(manifest), "packages": manifest.packages}
    return {**cycle, "result": {**result, **found}}, None


def _manifest(cycle: dict[str, Any], settings: Settings) -> tuple[Any, str | None]:
    from schemas.manifest import ModelManifest
    from stores.errors import RegistryError
    from stores.registry.files import read_manifest

    number, registry = cycle["version"]["version"], settings.model_registry
    try:
        if isinstance(registry, LocalRegistry):
            return read_manifest(registry.path / settings.model_name / str(number)), None
        found = ask_cluster(settings, "manifest", cycle["cycle_id"])
        return (ModelManifest.model_validate(found), None) if found else (None, "the registry has no such version")
    except (RegistryError, ClusterTrouble) as error:
        return None, f"its manifest cannot be read: {error}"
