"""The tables and facts of a report, each from the evidence alone."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.cycle import Comparison, CycleResult, FitReport, Metrics
from schemas.evidence import Evidence, Interval
from schemas.figures import words
from schemas.guard import Finding, GuardName
from trainer.report.cycle_plots import with_this
from trainer.report.html import Raw, element, facts, joined, table

_SHOWN = 12  # rows of comparisons, of refused users: a reader wants the worst ones
_NONE = "-"


def what_changed(evidence: Evidence) -> Raw:
    """What the cycle was to learn, and what became of it."""
    probe = evidence.result.probe
    before = element("p", f"Before anything was learned: {probe.summary}.") if probe and probe.summary else Raw("")
    return joined([facts(_changes(evidence)), before])


def _changes(evidence: Evidence) -> Iterator[tuple[str, str]]:
    result, lineage = evidence.result, evidence.lineage
    yield "why it started", f"{evidence.kind.value}: {evidence.reason}"
    yield "started from", "nothing" if result.base_version is None else f"version {result.base_version}"
    claimed = f"{lineage.changed_users:,}"
    yield (
        "changed users",
        claimed + (f", and {lineage.unchanged_users:,} of cycles before" * bool(lineage.unchanged_users)),
    )
    if (read := result.read) is not None:
        yield "read", f"{read.accepted:,} accepted, {read.deleted:,} deleted, {read.refused_total:,} refused"
    if (labels := result.labels) is not None:
        yield (
            "labels read",
            f"{labels.accepted:,} accepted, {labels.deleted:,} deleted, {labels.refused_total:,} refused",
        )
        yield (
            "labels known",
            (f"{labels.positives:,} positive, {labels.negatives:,} negative, {labels.held_out:,} of them held out"),
        )
    if (pairs := result.pairs) is not None:
        yield "users now", f"{pairs.users:,}"
        yield (
            "similar pairs",
            f"{pairs.before:,} before, {pairs.after:,} now: {pairs.added:,} more, {pairs.removed:,} less",
        )
    if lineage.first_event_at is not None and lineage.last_event_at is not None:
        yield "events", f"{lineage.first_event_at:%Y-%m-%d %H:%M:%S} to {lineage.last_event_at:%Y-%m-%d %H:%M:%S} UTC"
    for topic, partitions in lineage.offsets.items():
        read_offsets = ", ".join(
            f"[{number}] {start:,} to {end:,}" for number, (start, end) in sorted(partitions.items())
        )
        yield f"offsets of {topic}", read_offsets


def refused(evidence: Evidence) -> Raw:
    """The refused users with their reasons, the first ones."""
    read = evidence.result.read
    if read is None or not read.refused:
        return Raw("")
    caption = f"Refused users: {read.refused_total:,}" + (", the first ones" if read.refused_total > _SHOWN else "")
    return table(caption, ("user", "reason"), list(read.refused.items())[:_SHOWN], figures=False)


def compared(result: CycleResult) -> Raw:
    """All figures of challenger and champion, and of the fresh start."""
    gate = result.gate
    if gate is None:
        return Raw("")
    told = {"challenger": gate.challenger, "champion": gate.champion, "fresh start": gate.fresh}
    there = {name: metrics for name, metrics in told.items() if metrics is not None}
    if not there:
        return Raw("")
    both = gate.challenger is not None and gate.champion is not None
    heads = ["figure", *there, *(["difference"] if both else [])]
    rows = []
    for figure in Metrics.model_fields:
        values = {name: getattr(metrics, figure) for name, metrics in there.items()}
        if all(value is None for value in values.values()):
            continue
        row = [words(figure), *map(_number, values.values())]
        if both:
            mine, its = values["challenger"], values["champion"]
            row.append(_NONE if mine is None or its is None else f"{mine - its:+.4f}")
        rows.append(row)
    judged = "held-out labels" if gate.judged_by == "outcomes" else "similarity"
    caption = (
        f"On {gate.users:,} held-out users, at the same moment, on today's features. Judged by {judged}; of "
        "calibration errors less is better."
    )
    return table(caption, heads, rows)


def comparisons(result: CycleResult) -> Raw:
    """What the gate has compared, the worst first; the rest can be unfolded."""
    gate = result.gate
    if gate is None or not gate.comparisons:
        return Raw("")
    caption = (
        "The worst first. A difference is negative where the challenger is worse; it lies above the figure in \u201cat "
        "least\u201d, and a loss is certain where \u201cat most\u201d is below zero."
    )
    first, rest = gate.comparisons[:_SHOWN], gate.comparisons[_SHOWN:]
    more = element("summary", f"{len(rest)} more comparisons")
    folded = element("details", more, _compared(caption, rest)) if rest else Raw("")
    notes = [element("li", note) for note in gate.notes]
    return joined([_compared(caption, first), folded, element("ul", *notes) if notes else Raw("")])


def _compared(caption: str, found: tuple[Comparison, ...]) -> Raw:
    heads = (
        "figure",
        "users",
        "against",
        "challenger",
        "other",
        "difference",
        "at least",
        "at most",
        "margin",
        "verdict",
    )
    rows = [
        (
            words(one.figure) + (" (rail)" if one.guard_rail else ""),
            f"{one.slice.value if one.slice else 'all'} ({one.users:,})",
            one.against,
            f"{one.challenger:.4f}",
            f"{one.other:.4f}",
            f"{one.difference:+.4f}",
            f"{one.lower:+.4f}",
            f"{one.certain:+.4f}",
            _NONE if one.margin is None else f"{one.margin:g}",
            one.verdict if one.verdict == "fine" else element("strong", one.verdict, class_="bad"),
        )
        for one in found
    ]
    return table(caption, heads, rows)


def learned(evidence: Evidence) -> Raw:
    """How the fit went, in numbers."""
    fit = evidence.result.fit
    if fit is None:
        return Raw("")
    rows = [
        ("kept", _kept(fit)),
        ("fits tried", f"{fit.candidates}{', the restarted one kept' if fit.restarted else ''}"),
        ("users in an epoch", f"{fit.users:,}, {fit.replayed_users:,} of them replayed"),
        ("pairs labelled", f"{fit.labelled_pairs:,}"),
    ]
    if fit.labels is not None:
        rows.append(("labels in an epoch", f"{fit.labels:,}, {fit.replayed_labels or 0:,} of them replayed"))
    if fit.note:
        rows.append(("note", fit.note))
    return facts(rows)


def _kept(fit: FitReport) -> str:
    if not fit.learned:
        return "the start: nothing was better"
    if not fit.best_epoch:
        return "the start on today's axes: no epoch was better"
    return f"epoch {fit.best_epoch} of {fit.epochs}"


def slices(evidence: Evidence) -> Raw:
    """The figures by slice with their intervals."""
    found = evidence.intervals
    if not found:
        return Raw("")
    cells: dict[tuple[str, str, str], Interval] = {
        (one.slice.value if one.slice else "all", one.figure, one.model): one for one in found
    }
    models = [name for name in ("challenger", "champion") if any(one.model == name for one in found)]
    rows = []
    for group, figure in dict.fromkeys((group, figure) for group, figure, _ in cells):
        told = [cells.get((group, figure, model)) for model in models]
        users = next(one.users for one in told if one is not None)
        rows.append((f"{words(figure)}, {group}", f"{users:,}", *map(_interval, told)))
    caption = "95 % of the bootstrap draws over the users of a slice lie in the brackets."
    listed = table(caption, ("figure, slice", "users", *models), rows)
    return element("details", element("summary", "the same in numbers"), listed)


def _interval(one: Interval | None) -> str:
    return _NONE if one is None else f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"


def guard(result: CycleResult) -> Raw:
    """Every figure of the guard beside its limit."""
    report = result.guard
    if report is None or not report.findings:
        return Raw("")
    rows = [
        (
            one.name.value.replace("_", " "),
            _finding(one, one.figure),
            _finding(one, one.limit),
            f"{one.of:,}",
            _state(one),
            one.detail or "",
        )
        for one in report.findings
    ]
    caption = "What was measured of the data before anything was learned from them."
    return table(caption, ("figure", "measured", "limit", "of", "state", "detail"), rows, figures=False)


def _finding(one: Finding, value: float) -> str:
    return f"{value:.3g}" if one.name is GuardName.MEAN_Z else f"{100 * value:.3g} %"


def _state(one: Finding) -> str:
    if not one.exceeded:
        return "within"
    return "accepted by a person" if one.accepted else element("strong", "beyond: held", class_="bad")


def versions(evidence: Evidence) -> Raw:
    """The figures of the last versions, the newest first."""
    found = with_this(evidence)[::-1]
    if len(found) < 2:
        return Raw("")
    rows = [
        (
            f"{one.version}",
            one.kind,
            f"{one.registered_at:%Y-%m-%d %H:%M}",
            f"{one.accuracy:.4f}",
            f"{one.recall_at_10:.4f}",
            _number(one.average_precision),
            _number(one.outcome_auc),
        )
        for one in found
    ]
    heads = ("version", "kind", "registered, UTC", "accuracy", "recall@10", "average precision", "AUC of outcomes")
    listed = table("The newest first.", heads, rows)
    return element("details", element("summary", "the same in numbers"), listed)


def seconds(result: CycleResult) -> Raw:
    """How long each step took."""
    rows = [(step.value, f"{took:.2f}") for step, took in result.seconds.items()]
    return table("Seconds of each step.", ("step", "seconds"), rows) if rows else Raw("")


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"
