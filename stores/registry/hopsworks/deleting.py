"""Deletes a version from the registry of a cluster: its entry and its folder.

The server removes the folder first and the entry after it, so a deletion that was cut short leaves an entry whose files
are gone or half gone. Such an entry counts as broken, for nobody as a version, and the next call deletes it.
"""

from __future__ import annotations

from stores.hopsworks.models import FILES, Entry, Models
from stores.registry.hopsworks.naming import cycle_in, marker_of


def delete_version(models: Models, version: int, cycle_id: str) -> None:
    """Delete the version of a cycle; does nothing where the number is another's, or nobody's.

    Raises:
        ClusterError: the version is not known to be gone.
    """
    entries = models.entries()
    entry = next((entry for entry in entries if entry.version == version), None)
    if entry is not None and cycle_in(entry.description) != cycle_id:
        return
    if entry is not None:
        models.delete(entry)
    folder = f"{models.folder}/{version}"
    models.dataset.remove(folder, f"{folder}/{FILES}/{marker_of(cycle_id)}")
    if entry is not None and version == _highest(models, entries):
        models.dataset.make(folder)  # the SDK counts on from the folders: an empty one keeps the number taken


def _highest(models: Models, entries: list[Entry]) -> int:
    nodes = models.dataset.children(models.folder) or []
    folders = (int(node.name) for node in nodes if node.folder and node.name.isdecimal())
    return max([*folders, *(entry.version for entry in entries)])
