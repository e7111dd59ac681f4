"""Which vectors the queries of a version may meet, by a look at small files: no model is loaded for it."""

from __future__ import annotations

from examples.serving.served import Place, Served
from schemas.jobs.vectors import CURRENT_FILE, Origin, Tower, current_set, stamp_of
from schemas.manifest import MANIFEST_FILE, ModelManifest
from stores.vectors.together import VectorsApart, check_together, origin_of


class NotYetError(Exception):
    """A version has to wait for vectors that its queries may meet; the message says what is there."""


def manifest_of(place: Place, version: int) -> ModelManifest:
    """What the registry says about a version.

    Raises:
        OSError: the version is not there.
        ValidationError: the manifest cannot be read.
    """
    return ModelManifest.model_validate_json((place.registry / str(version) / MANIFEST_FILE).read_bytes())


def together(queries: Origin, candidates: Origin, name: str | None) -> Served:
    """Model and vectors of these origins, where they may meet (P10); `name` is that of the set.

    Raises:
        VectorsApart: they must not.
    """
    meeting = check_together(queries, candidates)
    differ = queries.version != candidates.version
    kept = (1.0 if meeting.same else meeting.kept) if differ else None
    return Served(queries.version, candidates.version, kept, name)


def look(place: Place, version: int) -> Served:
    """What a version can be served with now.

    Raises:
        NotYetError: the set that counts is one that its queries must not meet, or there is none.
        OSError, ValidationError: the version is not there.
    """
    if place.vectors is None:
        return Served(version, version)
    folder = current_set(place.vectors)
    stamp = stamp_of(folder)
    if folder is None or stamp is None or Tower.CANDIDATE not in stamp.towers:
        raise NotYetError(
            f"version {version} waits for vectors: {place.vectors / CURRENT_FILE} names no whole set of candidates; "
            f"`retrainer vectors --out {place.vectors}` writes one"
        )
    try:
        return together(origin_of(version, manifest_of(place, version)), stamp.origin, folder.name)
    except VectorsApart as apart:
        raise NotYetError(f"version {version} waits for vectors: {apart}") from None
