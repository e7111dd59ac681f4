"""What `retrainer status` shows, line by line: one story, of which no line contradicts another.

`consumer.operating` says what is true.
"""

from __future__ import annotations

from typing import Any

from consumer.configuration.dead_letters import WAY_OUT
from consumer.cycles.failure_report import FailureReport
from consumer.freshness.verdict import FreshnessState, verdict_in_words
from consumer.listener.state import ListenerState
from consumer.moments import in_utc
from consumer.notifications.now import notifications_in_words
from retrainer.cli.model_event_rows import model_events_in_words

TRIED = {"rejected", "inconclusive", "held"}
"""Outcomes after which what was claimed rides with the next cycle and starts none."""


def rows(found: dict[str, Any]) -> dict[str, str]:
    """The lines by their names, of what `consumer.operating.overview.overview` found."""
    cycle, last, held = found["cycle"], found["last_cycle"], found["held"]
    lines = {
        "state": found["state"] + _why_none_starts(found),
        **({"to do": WAY_OUT} if found["state"] == ListenerState.TOO_MANY_DEAD_LETTERS else {}),
        **({"cannot read": found["unable"]} if found.get("unable") else {}),
        **({"trouble": found["trouble"]} if found["trouble"] else {}),
        **({"notice": notice} if (notice := found.get("notice")) else {}),
        **({"held": f"{held['reason']}\nto do: {held['way_out']}"} if held else {}),
        **({"failing": _failing(found)} if found["failing"] else {}),
        **({"full retrain": full} if (full := _full_retrain(found)) else {}),
        "lag": _lag(found),
        "pending": _pending(found),
        **({"freshness": freshness} if (freshness := _freshness(found)) else {}),
        "cycle": _cycle(cycle) if cycle else "none",
        "last cycle": f"{last['cycle_id']} ({last['kind']}) {last['outcome']}: {last['reason']}" if last else "none",
        **({"probe": found["probe"]["told"]} if found["probe"] else {}),
        "champion": "none yet" if found["champion"] is None else f"version {found['champion']}",
        **(found.get("served") or {}),
        **({"page": found["page"]} if found.get("page") else {}),
        **_orders(found),
        **({"vectors": vectors_in_words(found["vectors"], found["champion"])} if found.get("vectors") else {}),
        "since the last version": _in_words(found["cycles_since_version"]),
        "read": f"{found['events']} events, {found['ignored']} ignored{_because(found['ignored_because'])},"
        f" {found['dead_letters']} dead letters"
        f" ({found['open_dead_letters']} open)",
        "ledger": found["ledger"],
    }
    if refused := ", ".join(f"{count} {what}" for what, count in found["refused"].items() if count):
        lines["refused"] = f"{refused}: see `retrainer refused list`"
    if events := found.get("model_events"):
        lines["model events"] = model_events_in_words(events)
    if told := found.get("notifications"):
        lines["notifications"] = notifications_in_words(told)
    if len(found["instances"]) > 1:
        lines["instances"] = "\n".join(_instance(instance) for instance in found["instances"])
    if gaps := found["gaps"]:
        newest = gaps[-1]
        place = f"{newest['topic']}[{newest['partition']}]@{newest['from_offset']}"
        lines["gaps"] = f"{len(gaps)} since the last full retrain, the last at {place}: {newest['reason']}"
    return lines


def rows_without_ledger(found: dict[str, Any]) -> dict[str, str]:
    """The lines of what `consumer.operating.overview.without_ledger` found."""
    return {
        "state": found["state"] + _why_none_starts(found),
        **({"cannot read": found["unable"]} if found.get("unable") else {}),
        **({"trouble": found["trouble"]} if found["trouble"] else {}),
        **({"notice": notice} if (notice := found.get("notice")) else {}),
        **({"failing": _failing(found)} if found["failing"] else {}),
        "lag": _lag(found),
        "pending": "unknown: the ledger does not answer",
        "cycle": _cycle(found["cycle"]) if found["cycle"] else "none that this service runs",
        **({"page": found["page"]} if found.get("page") else {}),
        "ledger": found["ledger"],
    }


def _orders(found: dict[str, Any]) -> dict[str, str]:
    """What persons have ordered, with who, when and why."""
    lines: dict[str, str] = {}
    if pin := found.get("pin"):
        lines["pinned"] = f"version {pin['version']} {_ordered(pin)}"
    if pause := found.get("pause"):
        lines["paused"] = _ordered(pause)
    if hold_down := found.get("hold_down"):
        after = f"after the rollback of version {hold_down['version']}"
        lines["hold-down"] = f"until {hold_down['until'][:16].replace('T', ' ')} {after} {_ordered(hold_down)}"
    return lines


def _ordered(order: dict[str, Any]) -> str:
    return f"by {order['by']} at {order['at'][:16].replace('T', ' ')}: {order['reason']}"


def _why_none_starts(found: dict[str, Any]) -> str:
    if not found["hold"] or found["cycle"]:
        return ""
    until = f"; until {in_utc(found['hold_until'])}" if found["hold_until"] is not None else ""
    return f" ({found['hold']}{until})"


def _failing(found: dict[str, Any]) -> str:
    at_once = "" if found["cycle"] else "; `retrainer train` tries at once"
    return FailureReport(**found["failing"]).in_words + at_once


def _lag(found: dict[str, Any]) -> str:
    if found["lag"] is not None:
        return f"{found['lag']} events"
    if found["lag_known"] is None:
        return "unknown"
    return f"unknown, {found['lag_known']['events']} events at {in_utc(found['lag_known']['at'])}"


def _pending(found: dict[str, Any]) -> str:
    pending, last = found["pending"], found["last_cycle"]
    labels = f" and {pending['labels']} labels" if "labels" in pending else ""
    age = "" if pending["oldest_age_s"] is None else f", the oldest since {pending['oldest_age_s']:.0f} s"
    every = pending["users"] + pending.get("labels", 0)
    new = pending["untried_users"] + pending.get("untried_labels", 0)
    if new == every:
        return f"{pending['users']} users{labels}{age}"
    by = f"tried by {last['cycle_id']}, {last['outcome']}" if last and last["outcome"] in TRIED else "tried before"
    which = "all" if new == 0 else f"{every - new} of them"
    return f"{pending['users']} users{labels}{age}; {which} {by}: they ride with the next cycle"


def _freshness(found: dict[str, Any]) -> str | None:
    """How it stands with the promise; None where nothing is promised, and nothing else is to be said."""
    verdict = found.get("freshness")
    if verdict is None or (verdict["state"] == FreshnessState.NONE and not verdict["conflicts"]):
        return None
    return verdict_in_words(verdict)


def _cycle(cycle: dict[str, Any]) -> str:
    step = f", step {cycle['step']}" if cycle.get("step") else ""
    tried = f", tried {cycle['attempts']} times before" if cycle.get("attempts") else ""
    return f"{cycle['cycle_id']} ({cycle['kind']}): {cycle['state']}{step}{tried}"


def _full_retrain(found: dict[str, Any]) -> str | None:
    waits, why = found["full_waits"], found["asks_full"]
    later = f"waits until {in_utc(waits['until'])}: {waits['hold']}" if waits else None
    if why:
        by_itself = found["full_on_drift"] and (found["held"] is None or found["held"]["asks_full"])
        how = (later or "starts by itself") if by_itself else "`retrainer train --full` starts it"
        return f"asked for, and {how}: {why}" if not (by_itself and later) else f"asked for ({why}), and {later}"
    return f"{waits['reason']}, and it {later}; `retrainer train --full` starts it now" if waits else None


def vectors_in_words(vectors: dict[str, Any], champion: int | None) -> str:
    """The published vectors: of which version, and what is in the way of those of the champion."""
    if vectors["version"] is None:
        told = f"none yet in {vectors['out']}"
    else:
        made = vectors["created_at"][:19].replace("T", " ")
        told = f"version {vectors['version']}, {vectors['users']} users, since {made} UTC"
        if vectors["version"] != champion and champion is not None:
            told += f"; those of version {champion} are not published yet"
    return f"{told}\nnot published: {vectors['trouble']}" if vectors["trouble"] else told


def _in_words(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "no cycle"


def _because(reasons: dict[str, int]) -> str:
    listed = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
    return f" ({listed})" if listed else ""


def _instance(instance: dict[str, Any]) -> str:
    lag = "unknown" if instance["lag"] is None else instance["lag"]
    runs = ", runs cycles" if instance["runs_cycles"] else ""
    return f"{instance['name']}: {instance['state']}, {instance['partitions']} partitions, lag {lag}{runs}"
