"""In what two cycles, or the versions that they made, differ: figures, data, fit, settings, packages. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrainer.cli.history.parts import Part
from retrainer.cli.history.words import FIGURES, change, count, figure, moment, value
from schemas.recorded import whole

Record = dict[str, Any]

_TIMES = {"first event", "last event"}
_ABSENT = "nothing"


def differences(a: Record, b: Record) -> Record:
    """What differs between two cycles as `consumer.ledger.past_cycles.find_cycle` gives them, and nothing else.

    Returns:
        `a` and `b`, the names; `same_exam`, whether the figures are of one exam, as one was trained from the other;
        and for figures, data, fit, settings and packages {name: {"a", "b"}}, with a `difference` where both are
        numbers.
    """
    of_a, of_b = (cycle["result"] or {} for cycle in (a, b))
    scores_a, scores_b, same_exam = _figures(a, b)
    return {
        "a": name_of(a),
        "b": name_of(b),
        "same_exam": same_exam,
        "figures": _differing(scores_a, scores_b) if scores_a and scores_b else {},
        "data": _differing(_data(a, of_a), _data(b, of_b)),
        "fit": _differing(_fit(of_a), _fit(of_b)),
        "settings": _differing(_settings(of_a), _settings(of_b)) if _both(of_a, of_b, "settings") else {},
        "packages": _differing(of_a["packages"], of_b["packages"]) if _both(of_a, of_b, "packages") else {},
    }


def name_of(cycle: Record) -> str:
    """What people call it."""
    return f"version {cycle['version']['version']}" if cycle["version"] else str(cycle["cycle_id"])


def parts_of(found: Record) -> Iterator[Part]:
    """The differences for people."""
    a, b = found["a"], found["b"]
    rows = [
        (FIGURES.get(name, name), figure(one["a"]), figure(one["b"]), change(one.get("difference")))
        for name, one in found["figures"].items()
    ]
    note = (
        "both on one exam, on the same users at the same moment"
        if found["same_exam"]
        else "each in its own exam, on the users of its day; only the gate compares at one moment"
    )
    heads = ("figure", a, b, "difference")
    yield Part("Figures", {}, heads, rows, frozenset({"figure"}), notes=[note] if rows else [])
    for section in ("data", "fit", "settings", "packages"):
        yield Part(f"{section.capitalize()}: {a} -> {b}", _told(found[section]) or {})


def _told(section: Record) -> dict[str, str]:
    return {
        name: f"{_cell(name, one['a'])} -> {_cell(name, one['b'])}"
        + (f" ({_by(one['difference'])})" if "difference" in one else "")
        for name, one in section.items()
    }


def _cell(name: str, found: Any) -> str:
    if found is None:
        return _ABSENT
    if name in _TIMES:
        return moment(found)
    if isinstance(found, int) and not isinstance(found, bool):
        return count(found)
    return value(found)


def _by(difference: float) -> str:
    return f"{difference:+,}" if isinstance(difference, int) else f"{difference:+.4g}"


def _differing(a: Record, b: Record) -> Record:
    """{name: both values} of what is not the same, in the order of `a`."""
    found: Record = {}
    for name in dict.fromkeys([*a, *b]):
        one: Any = a.get(name)
        other: Any = b.get(name)
        if one != other:
            found[name] = {"a": one, "b": other}
            if _number(one) and _number(other) and name != "base version":
                found[name]["difference"] = other - one
    return found


def _number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _both(a: Record, b: Record, name: str) -> bool:
    return bool(a.get(name)) and bool(b.get(name))


def _figures(a: Record, b: Record) -> tuple[Record, Record, bool]:
    """The figures of both, of one exam where one of them was the champion when the other was judged."""
    gate_a, gate_b = ((cycle["result"] or {}).get("gate") or {} for cycle in (a, b))
    own = gate_a.get("challenger") or {}, gate_b.get("challenger") or {}
    if _made(a) is not None and b["base_version"] == _made(a) and gate_b.get("champion"):
        return gate_b["champion"], own[1], True
    if _made(b) is not None and a["base_version"] == _made(b) and gate_a.get("champion"):
        return own[0], gate_a["champion"], True
    return *own, False


def _made(cycle: Record) -> int | None:
    return cycle["version"]["version"] if cycle["version"] else None


def _data(cycle: Record, result: Record) -> Record:
    lineage = cycle["lineage"]
    read, pairs, labels = (result.get(name) or {} for name in ("read", "pairs", "labels"))
    found = {
        "kind": cycle["kind"],
        "outcome": cycle["state"],
        "base version": cycle["base_version"],
        "changed users": lineage["changed_users"],
        "changed labels": lineage.get("changed_labels"),
        "users accepted": read.get("accepted"),
        "users deleted": read.get("deleted"),
        "users refused": read.get("refused_total"),
        "known users": result.get("known_users"),
        "similar pairs": pairs.get("after"),
        "positive labels": labels.get("positives"),
        "negative labels": labels.get("negatives"),
        "held-out labels": labels.get("held_out"),
        "first event": lineage.get("first_event_at"),
        "last event": lineage.get("last_event_at"),
    }
    for kind in ("offsets", "replayed", "gaps"):
        for topic, partitions in (lineage.get(kind) or {}).items():
            found |= {f"{kind} of {topic}[{number}]": _range(spans) for number, spans in partitions.items()}
    return found


def _range(spans: list[Any]) -> str:
    several = [spans] if spans and isinstance(spans[0], int) else spans
    return ", ".join(f"{start:,} to {end - 1:,}" for start, end in several)


def _fit(result: Record) -> Record:
    fit = result.get("fit") or {}
    names = "warm_start", "restarted", "learned", "epochs", "best_epoch", "rate", "users", "replayed_users", "labels"
    return {name.replace("_", " "): fit.get(name) for name in names}


def _settings(result: Record) -> Record:
    """{section.field: value}, defaults included."""
    record = whole(result["settings"])
    return {f"{section}.{name}": of for section, fields in record.items() for name, of in fields.items()}
