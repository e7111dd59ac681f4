"""The files of a version: lists them with size and SHA-256, and checks a folder against its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from schemas.manifest import MANIFEST_FILE, FileEntry, ModelManifest
from stores.errors import RegistryError


def list_files(folder: Path) -> tuple[FileEntry, ...]:
    """All files below `folder` except the manifest, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST_FILE)
    return tuple(
        FileEntry(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=_sha256(path))
        for path in paths
    )


def read_manifest(folder: Path) -> ModelManifest:
    """The manifest in `folder`.

    Raises:
        RegistryError: there is none, or it cannot be read.
    """
    path = folder / MANIFEST_FILE
    try:
        return ModelManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RegistryError(f"{folder} has no {MANIFEST_FILE}") from None
    except ValidationError as error:
        raise RegistryError(f"{path} is not a manifest of this release: {error}") from error


def check_files(folder: Path) -> ModelManifest:
    """The manifest in `folder`, after a check of every file in it.

    Raises:
        RegistryError: a file is missing, has another size or another hash.
    """
    manifest = read_manifest(folder)
    for entry in manifest.files:
        path = folder / entry.path
        if not path.is_file():
            raise RegistryError(f"{folder} lacks {entry.path}")
        if path.stat().st_size != entry.size or _sha256(path) != entry.sha256:
            raise RegistryError(f"{path} is not the file that the manifest lists: damaged or changed since")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
