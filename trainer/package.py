"""Packaging: the folder that is registered, with the model, both towers, the manifest and a report for people."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from schemas.cycle import CycleRequest, CycleResult, FitReport, GateReport, Metrics, ProbeReport, SliceReport
from schemas.fault_points import Point, reached
from schemas.manifest import (
    CANDIDATE_TOWER_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    QUERY_TOWER_FILE,
    REFUSED_USERS_FILE,
    ModelManifest,
    SpaceInfo,
)
from schemas.reports import PAGE_FILE
from stores.files import replacing
from stores.registry.files import list_files
from trainer.claimed import write_claimed
from trainer.device import RECORDED, in_use
from trainer.evidence.page_process import PageProcess
from trainer.model import CANDIDATE, QUERY, TwoTower
from trainer.opponents import LoadedVersion
from trainer.serving.rows import drawn_rows
from trainer.serving.saved_model import write_saved_model
from trainer.serving.warm_up import write_warm_up

_FIGURES = {
    "accuracy": "accuracy",
    "AUC": "auc",
    "precision": "precision",
    "recall of pairs": "recall",
    "F1": "f1",
    "average precision": "average_precision",
    "recall@10": "recall_at_10",
    "calibration error": "calibration_error",
}
_OUTCOMES = {
    "AUC of outcomes": "outcome_auc",
    "recall@50": "recall_at_50",
    "calibration error of outcomes": "outcome_calibration_error",
}
_PROBED = {"accuracy": "accuracy", "recall@10": "recall_at_10", "AUC of outcomes": "auc", "recall@50": "recall_at_50"}
_RANGES_TOLD = 20
_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "retrainer")


def manifest_of(
    request: CycleRequest, info: SpaceInfo, result: CycleResult, champion: LoadedVersion | None = None
) -> ModelManifest:
    """The manifest of a challenger that passed, without files yet; it was trained from `champion`."""
    settings = request.settings
    if not (result.read and result.pairs and result.fit and result.gate and result.gate.challenger):
        raise ValueError(f"cycle {request.cycle_id} has not run all its steps")
    return ModelManifest(
        model_name=settings.model_name,
        cycle_id=request.cycle_id,
        kind=request.kind,
        reason=request.reason,
        base_version=result.base_version,
        created_at=datetime.now(UTC),
        feature_group=settings.feature_group,
        labels=settings.labels,
        space=info,
        pairs=settings.pairs,
        split=settings.split,
        fit=settings.fit,
        gate=settings.gate,
        guard=settings.guard,
        lineage=request.lineage,
        read_report=result.read,
        label_report=result.labels,
        probe_report=result.probe,
        pair_report=result.pairs,
        guard_report=result.guard,
        fit_report=result.fit,
        gate_report=result.gate,
        metrics=result.gate.challenger,
        towers_as_in=_towers_as_in(champion, result.fit),
        index_compatible_with=_compatible_with(result),
        compatibility_report=result.compatibility,
        packages=packages(),
        files=(),
    )


def _towers_as_in(champion: LoadedVersion | None, fit: FitReport) -> int | None:
    """The version whose towers these are, where this cycle learned nothing; else None."""
    if champion is None or fit.learned or not fit.warm_start:
        return None
    return champion.manifest.towers_as_in or champion.version


def _compatible_with(result: CycleResult) -> int | None:
    found = result.compatibility
    return found.version if found is not None and found.compatible else None


def stage(
    folder: Path,
    model: TwoTower,
    manifest: ModelManifest,
    refused: dict[str, str],
    request: CycleRequest | None = None,
    page: PageProcess | None = None,
    *,
    served: bool = False,
) -> ModelManifest:
    """Write all files of a version into `folder`, which is emptied first, and return the manifest with its files.

    `refused` is the reason of every refused user; the reports name only the first. What the `request` claimed is kept
    with the version, so that the cycle can be run again. The `page` for people is being drawn meanwhile; a version
    without one is whole, too. Where versions are `served` by a deployment, there is a SavedModel, too.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.whole.save(folder / MODEL_FILE)
    reached(Point.PACKAGE_HALF)
    model.tower(QUERY).save(folder / QUERY_TOWER_FILE)
    model.tower(CANDIDATE).save(folder / CANDIDATE_TOWER_FILE)
    if served:
        write_saved_model(model, folder)
        write_warm_up(folder, manifest.model_name, drawn_rows(manifest.space, manifest.feature_group))
    (folder / "metrics.json").write_text(manifest.metrics.model_dump_json(indent=2) + "\n")
    (folder / "lineage.json").write_text(json.dumps(manifest.lineage.model_dump(mode="json"), indent=2) + "\n")
    if refused:
        (folder / REFUSED_USERS_FILE).write_text(json.dumps(refused, indent=2) + "\n")
    if request is not None:
        write_claimed(folder, request)
    (folder / "report.md").write_text(report(manifest))
    if page is not None and (html := page.html()) is not None:
        (folder / PAGE_FILE).write_bytes(html)
    complete = manifest.model_copy(update={"files": list_files(folder)})
    with replacing(folder / MANIFEST_FILE) as file:
        file.write(complete.model_dump_json(indent=2).encode())
    return complete


def report(manifest: ModelManifest) -> str:
    """A report in Markdown: what was learned, and how the gate judged it."""
    gate, pairs, fit = manifest.gate_report, manifest.pair_report, manifest.fit_report
    named = _FIGURES | (_OUTCOMES if gate.labels else {})
    rows = [
        f"| {name} | {_figure(manifest.metrics, field)} | {_figure(gate.champion, field)} |"
        for name, field in named.items()
    ]
    table = "\n".join(["| | this version | champion |", "|---|---|---|", *rows])
    offsets = "\n".join(
        f"- `{topic}` [{partition}]: offsets {start} to {end}"
        for topic, ranges in manifest.lineage.offsets.items()
        for partition, (start, end) in sorted(ranges.items())
    )
    offsets += _replayed(manifest)
    return f"""# {manifest.model_name}, cycle {manifest.cycle_id}

A cycle of kind {manifest.kind}, because: {manifest.reason}. Base version: {manifest.base_version or "none"}.

## Gate: {gate.outcome}

{gate.reason}. Scored on {gate.users} held-out users: accuracy and AUC on {gate.pairs} sampled pairs, precision, recall
and what follows on every pair of theirs.{_by_labels(gate)}

{table}

{_comparisons(gate)}{_slices(gate)}
{_compatibility(manifest)}{_probed(manifest.probe_report)}## Learned

- {manifest.lineage.changed_users} changed users; {manifest.read_report.accepted} read, {manifest.read_report.deleted} \
deleted, {manifest.read_report.refused_total} refused
{_labels(manifest)}- pairs: {pairs.before} before, {pairs.after} after ({pairs.added} added, {pairs.removed} removed)
- {fit.epochs} epochs over {fit.users} users ({fit.replayed_users} replayed), {_kept(fit)}
{offsets}
"""


def _replayed(manifest: ModelManifest) -> str:
    """The offsets that were read again, one line a partition; the first ones of many ranges."""
    lines = []
    for topic, partitions in manifest.lineage.replayed.items():
        for partition, spans in sorted(partitions.items()):
            told = ", ".join(f"{start} to {end}" for start, end in spans[:_RANGES_TOLD])
            more = f", and {len(spans) - _RANGES_TOLD} more ranges" if len(spans) > _RANGES_TOLD else ""
            lines.append(f"\n- replayed: `{topic}` [{partition}]: offsets {told}{more}")
    return "".join(lines)


def _by_labels(gate: GateReport) -> str:
    """The number of labels behind the figures of outcomes, and whether these figures decide."""
    if not gate.labels:
        return ""
    say = "decide" if gate.judged_by == "outcomes" else "are shown and decide nothing"
    return f" The figures of outcomes, on {gate.labels} held-out labels, {say}."


def _probed(probe: ProbeReport | None) -> str:
    """The champion's score on the changes before they were learned."""
    if probe is None:
        return ""
    told = ((name, getattr(probe, field), getattr(probe, f"own_{field}")) for name, field in _PROBED.items())
    rows = [f"| {name} | {_number(now)} | {_number(own)} |" for name, now, own in told if now is not None]
    head = [f"| version {probe.version} | on what was new | in its own exam |", "|---|---|---|"]
    table = "\n".join([*head, *rows]) + "\n\n" if rows else ""
    asked = f"Asked about {probe.users} changed users and {probe.labels} changed labels. " if rows else ""
    return f"## Before it was learned\n\n{table}{asked}{probe.summary[:1].upper()}{probe.summary[1:]}.\n\n"


def _compatibility(manifest: ModelManifest) -> str:
    """Whether the vectors of the version before may go on being used."""
    found = manifest.compatibility_report
    if found is None:
        return ""
    return f"## Vectors of version {found.version}\n\n{found.summary[:1].upper()}{found.summary[1:]}.\n\n"


def _labels(manifest: ModelManifest) -> str:
    """The counts of labels, where there is a label group."""
    found = manifest.label_report
    if found is None:
        return ""
    return (
        f"- {manifest.lineage.changed_labels} changed labels; {found.accepted} read, {found.deleted} deleted, "
        f"{found.refused_total} refused; now {found.positives} positive and {found.negatives} negative, of which "
        f"{found.held_out} are held out; {found.waiting} wait for their users\n"
    )


def _comparisons(gate: GateReport) -> str:
    """A table of all comparisons, the worst first, and the notes of the verdict."""
    notes = "".join(f"- {note}\n" for note in gate.notes)
    if gate.labels_kept is not None:
        kept = f"{gate.labels_kept:.1%} of the pairs that either calls similar are so by both"
        notes += f"- scaled otherwise than the champion: {kept}\n"
    if not gate.comparisons:
        return f"{notes}\n" if notes else ""
    rows = [
        f"| {one.figure}{' (guard-rail)' * one.guard_rail} | {one.slice or 'all'} ({one.users}) | {one.against} "
        f"| {one.challenger:.4f} | {one.other:.4f} | {one.difference:+.4f} | {one.lower:+.4f} | {one.certain:+.4f} "
        f"| {one.verdict} |"
        for one in gate.comparisons
    ]
    head = "| figure | users | against | this version | other | difference | at least | at most | |"
    return "\n".join([head, "|---" * 9 + "|", *rows]) + f"\n\n{notes}\n"


def _slices(gate: GateReport) -> str:
    """A table of the figures by slice."""
    if not gate.slices:
        return ""
    named = _FIGURES | (_OUTCOMES if gate.labels else {})
    rows = [f"| {name} | {part.users} | {part.pairs} | {_figures(part, named)} |" for name, part in gate.slices.items()]
    head = [f"| this version / champion | users | pairs | {' | '.join(named)} |", "|---" * (3 + len(named)) + "|"]
    return "\n".join([*head, *rows]) + "\n"


def _figures(part: SliceReport, named: Mapping[str, str]) -> str:
    return " | ".join(
        f"{_figure(part.challenger, field)} / {_figure(part.champion, field)}" for field in named.values()
    )


def _kept(fit: FitReport) -> str:
    if not fit.learned:
        return "none beats the start, which is kept"
    start = (
        "the axes of today's users" if fit.restarted else "the weights of before" if fit.warm_start else "a new start"
    )
    return f"epoch {fit.best_epoch} from {start} kept"


def _figure(metrics: Metrics | None, field: str) -> str:
    return _number(getattr(metrics, field, None))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def packages() -> dict[str, str]:
    """Versions of the packages that made the model, and the GPU where one did; what is not installed has none."""
    found = {"python": platform.python_version()}
    if (gpu := in_use()) is not None:
        found[RECORDED] = gpu
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
