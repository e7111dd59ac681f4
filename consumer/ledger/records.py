"""A cycle, a version or a gap as `--json` gives it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.cycle import CycleResult, Lineage


def cycle_record(row: Any) -> dict[str, Any]:
    """A row of `cycles`."""
    return {
        "cycle_id": row.cycle_id,
        "kind": row.kind,
        "reason": row.reason,
        "state": row.state,
        "base_version": row.base_version,
        "accept": row.accept or [],
        "settled": row.settled,
        "lineage": row.lineage,
        "claimed_at": when(row.claimed_at),
        "ended_at": when(row.ended_at),
        "result": row.result,
    }


def gap_record(row: Any) -> dict[str, Any]:
    """A row of `gaps`."""
    return {
        "topic": row.topic,
        "partition": row.partition,
        "from_offset": row.from_offset,
        "to_offset": row.to_offset,
        "at": when(row.at),
        "reason": row.reason,
    }


def version_record(row: Any, standing: int | None) -> dict[str, Any]:
    """A row of `versions` with its cycle's kind, reason, lineage and result; `standing` is the champion."""
    lineage = Lineage.model_validate(row.lineage)
    result = CycleResult.model_validate(row.result)
    gate = result.gate
    scores = gate.challenger if gate else None
    return {
        "version": row.version,
        "cycle_id": row.cycle_id,
        "kind": row.kind,
        "base_version": result.base_version,
        "champion": row.version == standing,
        "registered_at": when(row.registered_at),
        "not_promoted": row.not_promoted,
        "withdrawn": row.withdrawn,
        "deleted_at": when(row.deleted_at),
        "reason": row.reason,
        "changed_users": lineage.changed_users,
        "unchanged_users": lineage.unchanged_users,
        "changed_labels": lineage.changed_labels,
        "unchanged_labels": lineage.unchanged_labels,
        "offsets": lineage.model_dump(mode="json")["offsets"],
        "replayed": lineage.model_dump(mode="json")["replayed"],
        "gaps": lineage.model_dump(mode="json")["gaps"],
        "pairs": result.pairs.after if result.pairs else None,
        "metrics": scores.model_dump() if scores else None,
        "probe": result.probe.model_dump() if result.probe else None,
        "gate": gate.model_dump() if gate else None,
        "compatibility": result.compatibility.model_dump() if result.compatibility else None,
    }


def when(seconds: float | None) -> str | None:
    """A time as ISO 8601, in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
