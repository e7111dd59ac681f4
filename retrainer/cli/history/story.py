"""One cycle, and the version that it made, told in parts: from why it started to what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrainer.cli.history.judgement import judgement
from retrainer.cli.history.parts import Part
from retrainer.cli.history.words import between, count, figure, long, moment, share, value

Record = dict[str, Any]

_FIT = ("epochs", "best_epoch", "users", "replayed_users", "labelled_pairs", "loss", "train_accuracy", "dev_accuracy")
_FIT_LABELS = ("labels", "replayed_labels", "dev_auc", "dev_recall_at_50")
_PROBED = {"accuracy": "accuracy", "recall@10": "recall_at_10", "AUC": "auc", "recall@50": "recall_at_50"}


def story(cycle: Record) -> Iterator[Part]:
    """A cycle as `consumer.ledger.past_cycles.find_cycle` gives it, told for people."""
    result: Record = cycle["result"] or {}
    yield Part("", _decision(cycle, result))
    yield _version(cycle["version"])
    yield Part("Events", _events(cycle["lineage"]))
    yield Part("Data", _data(cycle["lineage"], result))
    yield _probe(result.get("probe"))
    yield Part("Fit", _fit(result.get("fit")))
    yield from judgement(result)
    yield _seconds(result.get("seconds") or {})
    yield from made_with(result)


def _decision(cycle: Record, result: Record) -> dict[str, str]:
    took = between(cycle["claimed_at"], cycle["ended_at"])
    base = cycle["base_version"]
    return _said(
        {
            "cycle": f"{cycle['cycle_id']}, {cycle['kind']}, on top of {f'version {base}' if base else 'none'}",
            "because": cycle["reason"],
            "claimed": moment(cycle["claimed_at"]) + ("" if took is None else f"; ended after {long(took)}"),
            "outcome": _outcome(cycle),
            "reason": result.get("reason"),
            "to do": result.get("way_out"),
            "full retrain": result.get("asks_full") and f"asked for: {result['asks_full']}",
            "accepted": ", ".join(cycle["accept"]),
            "failed attempts": _attempts(cycle),
            "trace": cycle.get("trace_id"),
        }
    )


def _outcome(cycle: Record) -> str:
    if cycle["ended_at"] is None:
        return "it is still running; `retrainer status` says how far it is"
    version = cycle["version"]
    made = f", as version {version['version']}" if version else ""
    settled = {
        True: "the users and labels that it claimed are settled",
        False: "what it claimed was given back, and is pending again, or in a later cycle",
    }[bool(cycle["settled"])]
    return f"{cycle['state']}{made}; {settled}"


def _attempts(cycle: Record) -> str | None:
    if not cycle["attempts"]:
        return None
    return f"{cycle['attempts']}{'; the last: ' + cycle['last_error'] if cycle['last_error'] else ''}"


def _version(version: Record | None) -> Part:
    if version is None:
        return Part("")
    told = _said(
        {
            "registered": moment(version["registered_at"]),
            "now": "champion" if version["champion"] else "not the champion",
            "not promoted": version["not_promoted"],
            "withdrawn": "by a rollback: no challenger is held to it" if version["withdrawn"] else None,
            "deleted": version["deleted_at"] and f"from the registry, at {moment(version['deleted_at'])}",
        }
    )
    heads = ("champion from", "until", "by", "then", "reason")
    rows = [
        (
            moment(one["at"]),
            "now" if one["until"] is None else moment(one["until"]),
            f"{one['action']}{' of ' + one['by'] if one['by'] else ''}",
            "-" if one["followed_by"] is None else f"version {one['followed_by']}",
            one["reason"],
        )
        for one in version["promotions"]
    ]
    return Part(
        f"Version {version['version']}",
        told,
        heads,
        rows,
        frozenset(heads),
        long_last=True,
        least_needed=("then", "by"),
    )


def _events(lineage: Record) -> dict[str, str]:
    first, last = lineage.get("first_event_at"), lineage.get("last_event_at")
    return _said(
        {
            "offsets": _ranges(lineage.get("offsets") or {}),
            "replayed": _ranges(lineage.get("replayed") or {}),
            "lost": _ranges(lineage.get("gaps") or {}),
            "of": f"{moment(first)} to {moment(last)}" if first and last else None,
        }
    )


def _ranges(found: Record) -> str:
    """Offsets as people write them; the end of each range is the last offset in it."""
    told = []
    for topic, partitions in found.items():
        for number, spans in partitions.items():
            several = [spans] if spans and isinstance(spans[0], int) else spans
            told += [f"{topic}[{number}] {start:,} to {end - 1:,}" for start, end in several]
    return "\n".join(told)


def _data(lineage: Record, result: Record) -> dict[str, str]:
    read, pairs, labels = (result.get(name) or {} for name in ("read", "pairs", "labels"))
    users = f"{count(lineage['changed_users'])} changed" + _settled_before(lineage["unchanged_users"])
    changed_labels, before = lineage.get("changed_labels", 0), lineage.get("unchanged_labels", 0)
    return _said(
        {
            "users": users,
            "read": read and _read(read),
            "known": result.get("known_users") is not None and f"{count(result['known_users'])} users after it",
            "labels": (changed_labels or labels) and f"{count(changed_labels)} changed" + _settled_before(before),
            "labels read": labels and _labels(labels),
            "pairs": pairs
            and f"{count(pairs['after'])} similar: {count(pairs['added'])} came, {count(pairs['removed'])} went; "
            f"{count(pairs['rows_mined'])} rows mined",
        }
    )


def _settled_before(number: int) -> str:
    return f"; {count(number)} that earlier cycles settled unchanged" if number else ""


def _read(read: Record) -> str:
    whole = "all users read: " if read.get("whole") else ""
    keyless = f", {count(read['keyless'])} rows without a key" if read.get("keyless") else ""
    asked = read["accepted"] + read["refused_total"] + read["deleted"]
    shares = f" ({share(read['refused_total'] / asked)})" if read["refused_total"] else ""
    gone = f" ({share(read['deleted'] / asked)})" if read["deleted"] and not read.get("whole") else ""
    return (
        f"{whole}{count(read['accepted'])} accepted, {count(read['deleted'])} deleted{gone}, "
        f"{count(read['refused_total'])} refused{shares}{keyless}"
    )


def _labels(labels: Record) -> str:
    return (
        f"{count(labels['accepted'])} accepted, {count(labels['deleted'])} deleted, "
        f"{count(labels['refused_total'])} refused; known now: {count(labels['positives'])} positive and "
        f"{count(labels['negatives'])} negative ones, {count(labels['held_out'])} of them held out"
    )


def _probe(probe: Record | None) -> Part:
    if probe is None:
        return Part("")
    title = f"Probe: version {probe['version']}, before anything was learned"
    rows = [
        (name, figure(probe.get(of)), figure(probe.get(f"own_{of}")))
        for name, of in _PROBED.items()
        if probe.get(of) is not None
    ]
    heads = ("figure", "on what changed", "in its own exam")
    return Part(
        title, {}, heads, rows, frozenset({"figure"}), notes=[] if rows else [probe.get("summary") or "no figures"]
    )


def _fit(fit: Record | None) -> dict[str, str]:
    if fit is None:
        return {}
    start = "from the champion" if fit["warm_start"] else "from scratch"
    names = [*_FIT, *(_FIT_LABELS if fit.get("objective", "similarity") != "similarity" else ())]
    told = [
        f"{name.replace('_', ' ')} {figure(fit[name]) if isinstance(fit[name], float) else count(fit[name])}"
        for name in names
        if fit.get(name) is not None
    ]
    return _said(
        {
            "began": f"{start}{', on the axes of today' if fit.get('restarted') else ''}; seed {fit['seed']}",
            "learned": "something"
            if fit.get("learned", True)
            else f"nothing: {fit.get('note') or 'no epoch was better'}",
            "figures": "; ".join(told),
            "candidates": f"{fit['candidates']}; kept the one with rate {fit['rate']:g}"
            if fit.get("candidates", 1) > 1 and fit.get("rate")
            else None,
        }
    )


def _seconds(seconds: Record) -> Part:
    return (
        Part("Seconds", {"of each step": ", ".join(f"{step} {taken:.1f}" for step, taken in seconds.items())})
        if (seconds)
        else Part("")
    )


def made_with(result: Record) -> Iterator[Part]:
    """Settings that are not the default, and packages."""
    settings = {
        f"{section}.{name}": value(of)
        for section, fields in (result.get("settings") or {}).items()
        for name, of in fields.items()
    }
    notes = [] if settings or result.get("settings") is None else ["all are the defaults"]
    yield Part("Settings that are not the default", settings, notes=notes)
    packages = result.get("packages") or {}
    yield Part(
        "Packages", {"made with": ", ".join(f"{name} {of}" for name, of in packages.items())} if packages else {}
    )


def _said(told: dict[str, Any]) -> dict[str, str]:
    """What there is to say."""
    return {name: str(text) for name, text in told.items() if text}
