"""Whether anything still holds a user who is gone: each place is looked at, and says what was seen there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.jobs.explanation import ExplainRequest, Found, Trace
from schemas.policies import SplitPolicy
from trainer.explain.report_files import trace_of_reports
from trainer.explain.space_files import SpaceFiles, spaces_in
from trainer.explain.vector_files import trace_of_vectors
from trainer.matrix.split import Part, split

_AT_ONCE = 65_536
_DELETION = "have the deletion learned: `retrainer train`"
_FULL = "`retrainer train --full` starts a new space, and removes this one"


def traces(request: ExplainRequest, space_id: str | None) -> Iterator[Trace]:
    """Every place where a user could be. No trainer may work meanwhile.

    Args:
        request: names the user, and the folders.
        space_id: the champion's space; the next cycle removes all others. None where it is not known.
    """
    work_dir, user = request.settings.work_dir, request.user
    spaces = list(spaces_in(work_dir, request.settings.feature_group.width))
    if not spaces:
        yield Trace(place="embedding spaces", found=Found.ABSENT, evidence=f"there is none in {work_dir}")
    for space in spaces:
        found = _of_space(space, request)
        yield from found if space_id in {None, space.folder.name} else map(_outgoing, found)
    yield _of_cycles(work_dir, user)
    if request.settings.reports_dir is not None:
        yield trace_of_reports(request.settings.reports_dir, request.settings.reports.keep, user)
    for folder in request.vectors:
        yield trace_of_vectors(folder, user)


def _of_space(space: SpaceFiles, request: ExplainRequest) -> Iterator[Trace]:
    name, user = f" of space {space.folder.name}", request.user
    keys, rows = space.users()
    row = space.row_of(user)
    free = _free(rows, len(space.raw()))
    yield _of_matrix(space, f"user matrix{name}", row, len(keys), free)
    yield _of_short_rows(space, f"short rows{name}", free)
    yield _of_pairs(space, f"pairs{name}", row, rows)
    yield _of_exams(f"exams{name}", user, keys, request.settings.split)
    if (labels := _of_labels(space, f"label book{name}", user)) is not None:
        yield labels
    yield _of_note(space, "leavers.json", f"note of departures{name}", user, "since", request.last_settled_cycle)
    yield _of_note(space, "newcomers.json", f"note of newcomers{name}", user, "champion", request.champion_cycle)


def _outgoing(trace: Trace) -> Trace:
    """A trace in a space that no version follows any more."""
    if trace.found is not Found.HELD:
        return trace
    evidence = f"{trace.evidence}; this is not the champion's space, and the next cycle removes it"
    return trace.model_copy(update={"found": Found.OUTGOING, "evidence": evidence, "way_out": None})


def _free(rows: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
    """The rows that no user has."""
    free = np.ones(capacity, dtype=bool)
    free[rows[rows < capacity]] = False
    return np.flatnonzero(free)


def _of_matrix(space: SpaceFiles, place: str, row: int | None, users: int, free: NDArray[np.int64]) -> Trace:
    if row is not None:
        evidence = f"the index of {users:,} users names it, at row {row}"
        return Trace(place=place, found=Found.HELD, evidence=evidence, way_out=_DELETION)
    raw, directions = space.raw(), space.directions()
    left = sum(_not_zero(array, free[free < len(array)]) for array in (raw, directions))
    if left:
        evidence = f"{left:,} of {len(free):,} rows without a user still hold figures: whose, is not recorded"
        return Trace(place=place, found=Found.HELD, evidence=evidence, way_out=_FULL)
    evidence = f"the index of {users:,} users does not name it, and all {len(free):,} rows without a user are zero"
    return Trace(place=place, found=Found.ABSENT, evidence=evidence)


def _not_zero(array: NDArray[np.float32], rows: NDArray[np.int64]) -> int:
    parts = (rows[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE))
    return sum(int(np.asarray(array[part]).any(axis=1).sum()) for part in parts)


def _of_short_rows(space: SpaceFiles, place: str, free: NDArray[np.int64]) -> Trace:
    if (found := space.short_rows()) is None:
        return Trace(place=place, found=Found.ABSENT, evidence="there are none: bounds are computed from the matrix")
    short, empty = found
    looked = free[free < len(short)]
    left = 0
    for at in range(0, len(looked), _AT_ONCE):
        some = np.asarray(short[looked[at : at + _AT_ONCE]])
        left += int(((some != empty).any(axis=1) & (some != 0).any(axis=1)).sum())
    if left:
        evidence = f"{left:,} of {len(looked):,} rows without a user are not empty"
        return Trace(place=place, found=Found.HELD, evidence=evidence, way_out=_DELETION)
    return Trace(place=place, found=Found.ABSENT, evidence=f"all {len(looked):,} rows without a user are empty")


def _of_pairs(space: SpaceFiles, place: str, row: int | None, rows: NDArray[np.int64]) -> Trace:
    pairs, named = space.paired_rows()
    if row is not None and row in named:
        evidence = f"of {pairs:,} links some name its row {row}"
        return Trace(place=place, found=Found.HELD, evidence=evidence, way_out=_DELETION)
    stray = np.setdiff1d(named, rows)
    if len(stray):
        evidence = f"{len(stray):,} rows are named in {pairs:,} links, and no user has them"
        return Trace(place=place, found=Found.HELD, evidence=evidence, way_out=_FULL)
    evidence = f"{pairs:,} links name {len(named):,} rows: each is that of another user"
    return Trace(place=place, found=Found.ABSENT, evidence=evidence)


def _of_exams(place: str, user: str, keys: list[str], policy: SplitPolicy) -> Trace:
    """A later exam asks held-out users of the matrix about all users of the matrix."""
    held_out = int((split(policy, keys) == Part.HOLDOUT).sum()) if keys else 0
    asked = f"an exam now asks {held_out:,} held-out users about {len(keys):,} users"
    if user in keys:
        return Trace(place=place, found=Found.HELD, evidence=f"{asked}: it is one of them", way_out=_DELETION)
    return Trace(place=place, found=Found.ABSENT, evidence=f"{asked}: it is none of them")


def _of_labels(space: SpaceFiles, place: str, user: str) -> Trace | None:
    if (found := space.labels_of(user)) is None:
        return None
    of_user, every = found
    if of_user:
        way_out = "delete these labels in the label group: they wait in case the user comes back"
        evidence = f"{of_user:,} of {every:,} labels name it"
        return Trace(place=place, found=Found.HELD, evidence=evidence, way_out=way_out)
    return Trace(place=place, found=Found.ABSENT, evidence=f"none of {every:,} labels names it")


def _of_note(space: SpaceFiles, file: str, place: str, user: str, mark: str, current: str | None) -> Trace:
    note = space.note(file) or {}
    users = note.get("users") or []
    if user not in users:
        evidence = f"{len(users):,} users are noted, not this one" if note else "there is none"
        return Trace(place=place, found=Found.ABSENT, evidence=evidence)
    if note.get(mark) == current:
        evidence = f"it is one of {len(users):,} users noted"
        return Trace(place=place, found=Found.HELD, evidence=evidence, way_out=_DELETION)
    evidence = f"it is one of {len(users):,} users in a note that is out of date; the next cycle drops it"
    return Trace(place=place, found=Found.OUTGOING, evidence=evidence)


def _of_cycles(work_dir: Path, user: str) -> Trace:
    place, files, naming = "folders of cycles", 0, []
    for path in sorted((work_dir / "cycles").glob("*/request.json")):
        with suppress(OSError, ValueError, TypeError):
            asked = json.loads(path.read_bytes())
            files += 1
            if user in asked["users"] or user in asked.get("recently_learned_users", ()):
                naming.append(path.parent.name)
    if naming:
        evidence = f"the requests of {', '.join(naming)} name it; they are removed when the cycle has ended"
        return Trace(place=place, found=Found.OUTGOING, evidence=evidence)
    return Trace(place=place, found=Found.ABSENT, evidence=f"{files} requests are there, and none names it")
