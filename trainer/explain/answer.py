"""The answer about one user: from the stores, the champion's space, the models, and every place that may hold it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import numpy as np

from schemas.errors import RetrainerError
from schemas.jobs.explanation import ExplainRequest, Explanation, Found, NearestUsers, Trace
from stores.feature_store import FeatureStore, Floats
from stores.features.checks import check_rows
from stores.features.reading import read_all
from stores.registry.opening import open_registry
from stores.sqlite_readonly import stamps
from trainer.explain.nearest import Everyone, nearest_by
from trainer.explain.space_files import SpaceFiles, finished
from trainer.explain.traces import traces
from trainer.lock import no_trainer
from trainer.matrix.split import Part, split
from trainer.run import open_store

_BUSY = "a trainer works in the embedding space now"


def explain(request: ExplainRequest) -> Explanation:
    """All that this room knows of a user. What cannot be found out is told in a note, and stops nothing."""
    parts: dict[str, Any] = {"part": Part(int(split(request.settings.split, [request.user])[0])).name.lower()}
    notes: list[str] = []
    row: Floats | None = None
    with closing(open_store(request.settings)) as store:
        try:
            row, parts["refused"], parts["in_store"] = _row(store, request)
        except RetrainerError as error:
            notes.append(f"the feature store cannot be asked: {error}")
        wants_nearest = row is not None and request.nearest > 0 and request.now_version is not None
        space_id = _space_id(request, notes) if wants_nearest or parts.get("in_store") is False else None
        if parts.get("in_store") is False:
            parts["traces"] = tuple(_traces(request, space_id))
            if request.vector_group is not None:
                notes.append(
                    f"vectors in the feature group {request.vector_group} are not looked at: ask it by the key"
                )
        if row is not None and wants_nearest:
            parts |= _nearest(request, store, row, space_id, notes)
    return Explanation(**parts, notes=tuple(notes))


def _row(store: FeatureStore, request: ExplainRequest) -> tuple[Floats | None, str | None, bool]:
    """The user's sound row, or why it is refused, and whether there is a row."""
    found = check_rows(request.settings.feature_group, store.read([request.user]))
    refused = found.refused.get(request.user)
    return (found.raw[0] if found.keys else None), refused, bool(found.keys) or refused is not None


def _traces(request: ExplainRequest, space_id: str | None) -> list[Trace]:
    why, way_out = _BUSY, "ask again when its cycle has ended"
    with no_trainer(request.settings.work_dir) as quiet:
        try:
            if quiet:
                return list(traces(request, space_id))
        except (OSError, ValueError, sqlite3.Error) as error:
            why, way_out = f"files cannot be read: {error}", "`retrainer train --full` makes new ones"
    return [Trace(place="embedding spaces", found=Found.UNKNOWN, evidence=why, way_out=way_out)]


def _space_id(request: ExplainRequest, notes: list[str]) -> str | None:
    """The champion's embedding space; None where there is no champion, or it is not known."""
    if request.champion_cycle is None:
        return None
    try:
        found = open_registry(request.settings).find(request.champion_cycle)
    except RetrainerError as error:
        notes.append(f"the champion's embedding space is not known: {error}")
        return None
    if found is None:
        notes.append("the champion's embedding space is not known: the registry has no such version")
        return None
    return found.manifest.space.space_id


def _nearest(
    request: ExplainRequest, store: FeatureStore, row: Floats, space_id: str | None, notes: list[str]
) -> dict[str, Any]:
    """The nearest before and now, on today's rows; the user's own row is the store's."""
    space = _space(request, space_id, notes) if space_id is not None else None
    before_reading = stamps(space.folder / "index.db") if space is not None else None
    everyone, own = _of_space(space, request, notes) if space is not None else (None, None)
    same = None if everyone is None else own is not None and bool((everyone.raw[own] == row).all())
    everyone = everyone or _of_store(store, request)
    found: dict[str, NearestUsers] = {}
    registry = open_registry(request.settings)
    for name, version in (("before", request.before_version), ("now", request.now_version)):
        if version is not None:
            found[name] = nearest_by(registry, version, request.user, row, everyone, request.nearest)
    if space is not None and stamps(space.folder / "index.db") != before_reading:
        notes.append("a cycle has changed the embedding space meanwhile: some rows are those before it, some after it")
    return {**found, "rows": everyone.source, "same_row": same}


def _space(request: ExplainRequest, space_id: str, notes: list[str]) -> SpaceFiles | None:
    """The champion's space, if it is here."""
    space = SpaceFiles(request.settings.work_dir / "spaces" / space_id, request.settings.feature_group.width)
    if finished(space):
        return space
    notes.append("the champion's embedding space is not on this machine, so all rows are the feature store's")
    return None


def _of_space(space: SpaceFiles, request: ExplainRequest, notes: list[str]) -> tuple[Everyone | None, int | None]:
    """The users of a space, and where the one in question is; None where a trainer works, or it cannot be read."""
    why = _BUSY
    with no_trainer(request.settings.work_dir) as quiet:
        try:
            if quiet:
                keys, rows = space.users()
                everyone = Everyone(keys, rows, space.raw(), f"the user matrix, with {len(keys):,} users")
                return everyone, space.row_of(request.user)
        except (OSError, ValueError, sqlite3.Error) as error:
            why = f"the embedding space cannot be read ({error})"
    notes.append(f"{why}, so all rows are the feature store's")
    return None, None


def _of_store(store: FeatureStore, request: ExplainRequest) -> Everyone:
    found = read_all(store, request.settings.feature_group, [request.user], lambda _read: None)
    source = f"the feature store, with {len(found.keys):,} users"
    return Everyone(found.keys, np.arange(len(found.keys)), found.raw, source)
