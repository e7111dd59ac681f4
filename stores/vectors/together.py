"""Which query vectors may meet which candidate vectors (P10). A pure rule.

A cosine between vectors of two models is a number like any other: nothing about it looks wrong. So each vector carries
its origin, and whoever compares two asks here.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.jobs.vectors import Origin, Tower
from schemas.manifest import CANDIDATE_TOWER_FILE, QUERY_TOWER_FILE, ModelManifest
from stores.errors import StoreError


class VectorsApart(StoreError):  # noqa: N818
    """These queries must not meet these candidates: their cosines mean nothing."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """On what ground two origins may meet.

    Attributes:
        same: the same towers made both.
        kept: share of the earlier version's recall@10 that queries of the later one keep; None where `same`.
    """

    same: bool
    kept: float | None
    summary: str


def check_together(query: Origin, candidates: Origin) -> Meeting:
    """Say why queries of one origin may meet candidates of another.

    Raises:
        VectorsApart: they may not.
    """
    ours, theirs = _called(query), _called(candidates)
    if query.model_name != candidates.model_name:
        raise VectorsApart(f"queries of {ours} must not meet candidates of {theirs}: these are two models")
    if same_towers(query, candidates):
        return Meeting(True, None, f"queries and candidates of {theirs}")
    report = query.compatibility
    if query.index_compatible_with == candidates.version:
        kept = report.kept if report is not None and report.version == candidates.version else None
        told = f"keep {kept:.2f} of its recall@10" if kept is not None else "count as compatible"
        return Meeting(False, kept, f"queries of {ours} {told} among candidates of {theirs}")
    known = ""
    if report is not None and report.version == candidates.version:
        known = f"; they keep {report.kept:.2f} of its recall@10, and {report.limit:.2f} is the limit"
    raise VectorsApart(
        f"queries of {ours} must not meet candidates of {theirs}, which lie in another space{known}: take queries of "
        f"version {candidates.version}, or the vector set of version {query.version}"
    )


def same_towers(one: Origin, other: Origin) -> bool:
    """Whether both have the same towers, so that their vectors may stand in one set."""
    if one.model_name != other.model_name:
        return False
    known = len(one.sha256) == len(other.sha256) == len(Tower)
    if known and one.sha256 == other.sha256:
        return True
    if known and one.version == other.version:
        return False  # a registry that was begun again gives its numbers again
    return one.towers == other.towers


def origin_of(version: int, manifest: ModelManifest) -> Origin:
    """The origin of vectors that the towers of a registered version make."""
    report = manifest.compatibility_report
    unchanged = report.version if report is not None and not report.towers_changed else None
    files = {Tower.QUERY: QUERY_TOWER_FILE, Tower.CANDIDATE: CANDIDATE_TOWER_FILE}
    known = {entry.path: entry.sha256 for entry in manifest.files}
    return Origin(
        model_name=manifest.model_name,
        version=version,
        towers=manifest.towers_as_in or unchanged or version,
        sha256={tower: known[path] for tower, path in files.items() if path in known},
        index_compatible_with=manifest.index_compatible_with,
        compatibility=report,
    )


def _called(origin: Origin) -> str:
    return f"{origin.model_name}, version {origin.version}"
