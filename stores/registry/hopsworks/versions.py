"""Which versions in the registry are ours, and which of these are complete.

A version is complete when its entry is there, its manifest, and every file of the manifest with the size in the
manifest. Hashes are compared when the files are fetched. Only versions that are certainly ours and certainly broken
count as broken. Everything else is left alone: other people's versions, and versions of another release of ours whose
manifest this release cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from pydantic import ValidationError

from schemas.manifest import MANIFEST_FILE, ModelManifest
from stores.errors import ClusterUnreachable, NotThere
from stores.hopsworks.dataset import Node
from stores.hopsworks.models import Entry, Models
from stores.model_registry import RegisteredVersion
from stores.registry.hopsworks.cache import VersionCache, key_of
from stores.registry.hopsworks.naming import cycle_in


@dataclass(frozen=True, slots=True)
class Upload:
    """The files of a version, as far as they are there."""

    state: Literal["complete", "broken", "foreign"]
    why: str = ""
    manifest: ModelManifest | None = None


@dataclass(frozen=True, slots=True)
class Owned:
    """An entry of ours with its files."""

    entry: Entry
    cycle_id: str
    upload: Upload

    @property
    def registered(self) -> RegisteredVersion | None:
        """The version, if it is complete."""
        return RegisteredVersion(self.entry.version, self.upload.manifest) if self.upload.manifest else None


class Versions:
    """Looks at the versions of one model. Every method may raise ClusterError; then nothing is known."""

    def __init__(self, models: Models, cache: VersionCache) -> None:
        self._models = models
        self._cache = cache

    def complete(self) -> list[RegisteredVersion]:
        """The complete versions, oldest first. Where two machines registered one cycle, the first version counts."""
        entries = self._models.entries()
        self._cache.forget_manifests({_key(entry) for entry in entries})
        found: dict[str, RegisteredVersion] = {}
        for entry in entries:
            owned = self.look(entry)
            if owned and owned.registered:
                found.setdefault(owned.cycle_id, owned.registered)
        return list(found.values())

    def newest(self, entries: int) -> list[int]:
        """The numbers of the complete versions among so many of our newest entries."""
        ours = [entry for entry in self._models.entries() if cycle_in(entry.description)]
        found = (self.look(entry) for entry in ours[-entries:])
        return [owned.entry.version for owned in found if owned and owned.registered]

    def of(self, cycle_id: str, entries: Sequence[Entry] | None = None) -> list[Owned]:
        """The entries of a cycle, oldest first, among `entries`, or among all where None."""
        found = self._models.entries() if entries is None else entries
        mine = [entry for entry in found if cycle_in(entry.description) == cycle_id]
        return [owned for entry in mine if (owned := self.look(entry))]

    def numbered(self, version: int) -> Owned | None:
        """The entry of a version; None where there is none of ours."""
        entry = next((entry for entry in self._models.entries() if entry.version == version), None)
        return self.look(entry) if entry else None

    def look(self, entry: Entry) -> Owned | None:
        """An entry with its files; None where the entry is not ours."""
        cycle_id = cycle_in(entry.description)
        return Owned(entry, cycle_id, self.examine(entry.files, cycle_id, _key(entry))) if cycle_id else None

    def examine(self, files: str, cycle_id: str, key: str | None = None) -> Upload:
        """The files of a cycle's version. The manifest is cached under `key`, if there is a key."""
        nodes = self._models.dataset.children(files)
        if nodes is None:
            return Upload("broken", "it has no files")
        there = {node.name: node for node in nodes}
        if MANIFEST_FILE not in there:
            return Upload("broken", f"it has no {MANIFEST_FILE}")
        content = self._manifest(files, there[MANIFEST_FILE], key)
        try:
            names_us = content is not None and json.loads(content)["cycle_id"] == cycle_id
        except ValueError:
            content = None
        except (TypeError, KeyError):
            names_us = False
        if content is None:
            return Upload("broken", f"its {MANIFEST_FILE} cannot be read")
        try:
            manifest = ModelManifest.model_validate_json(content)
        except ValidationError:
            return Upload("foreign", f"its {MANIFEST_FILE} is not of this release")
        if not names_us or not all(map(_inside, (entry.path for entry in manifest.files))):
            return Upload("foreign", f"its {MANIFEST_FILE} is not that of cycle {cycle_id}")
        lacking = self._lacking(files, there, manifest)
        return Upload("broken", f"it lacks {lacking}") if lacking else Upload("complete", manifest=manifest)

    def _manifest(self, files: str, node: Node, key: str | None) -> bytes | None:
        kept = self._cache.manifest(key) if key else None
        if kept is not None and node.size in {None, len(kept)}:
            return kept
        with self._cache.locked("manifest"), self._cache.scratch("manifest") as folder:
            try:
                self._models.dataset.download(f"{files}/{MANIFEST_FILE}", folder / MANIFEST_FILE)
            except NotThere:
                return None
            content = (folder / MANIFEST_FILE).read_bytes()
        if node.size not in {None, len(content)}:  # a proxy in between answered something else, with HTTP 200
            raise ClusterUnreachable(f"{files}/{MANIFEST_FILE} has {node.size} bytes, and {len(content)} came")
        if key:
            self._cache.keep_manifest(key, content)
        return content

    def _lacking(self, files: str, there: Mapping[str, Node], manifest: ModelManifest) -> str | None:
        """The path of the first file that is missing or has another size; None where all are there."""
        folders = {".": there}
        for entry in manifest.files:
            path = PurePosixPath(entry.path)
            parent = str(path.parent)
            if parent not in folders:
                folders[parent] = {node.name: node for node in self._models.dataset.children(f"{files}/{parent}") or ()}
            node = folders[parent].get(path.name)
            if node is None or node.folder or node.size not in {None, entry.size}:
                return entry.path
        return None


def _inside(path: str) -> bool:
    """Whether a path of a manifest stays inside the folder of the version."""
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts


def _key(entry: Entry) -> str:
    return key_of(entry.version, entry.created)
