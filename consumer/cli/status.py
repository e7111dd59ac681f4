"""`retrainer status`: how the service is, what is pending, what runs."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.dead_letters.settings import TOO_MANY, WAY_OUT
from consumer.ledger.engine import shown
from consumer.ledger.instances import Instance
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.probes import Probed
from consumer.ledger.views import Held
from consumer.settings import Settings, load_settings
from consumer.status import STOPPED, Status, read_status

_LIVE = 15.0  # seconds; an instance reports every three


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show the state of the service, its lag, what is pending, running cycle, champion, and what somebody has to do."""
    settings = load_settings()
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        found = collect(settings, ledger, time.time())
    if as_json:
        typer.echo(json.dumps(found))
        return
    Console().print(_table(found))


def collect(settings: Settings, ledger: Ledger, now: float) -> dict[str, Any]:
    """The status as `--json` gives it. `lag` and `hold` are null while no service runs.

    State, lag and hold are those of the service on this state folder; `instances` are all that share the ledger. Labels
    are told where there is a label group, or was.
    """
    backlog, past, read = ledger.views.backlog(), ledger.views.past(), ledger.views.read()
    service = read_status(settings.status_file)
    alive = service if service and service.alive(now) else None
    oldest = backlog.oldest_event_at
    labelled = settings.labels is not None or backlog.labels > 0 or past.known_labels > 0
    instances = [_instance(instance) for instance in ledger.instances.seen_since(now - _LIVE)]
    return {
        "state": _state(service, alive),
        "trouble": alive.trouble if alive else None,
        "lag": alive.lag if alive else None,
        "hold": alive.hold if alive else None,
        "pending": {
            "users": backlog.users,
            **({"labels": backlog.labels} if labelled else {}),
            "oldest_age_s": None if oldest is None else round(max(0.0, now - oldest), 1),
        },
        "cycle": alive.cycle if alive and alive.runs_cycles else _elsewhere(ledger, instances),
        "champion": past.champion,
        "last_cycle": ledger.views.last_cycle(),
        "cycles_since_version": ledger.views.outcomes_since_version(),
        "held": _held(past.held) if past.held else None,
        "asks_full": ledger.asked.why_full(),
        "full_on_drift": settings.trigger.full_on_drift,
        "probe": _probe(probed) if (probed := ledger.probes.last()) else None,
        "known_users": past.known_users,
        **({"known_labels": past.known_labels} if labelled else {}),
        "events": read.events,
        "ignored": read.ignored,
        "ignored_because": read.ignored_because,
        "dead_letters": read.dead_letters,
        "instances": instances,
        "open_dead_letters": read.open_letters,
        "gaps": ledger.views.open_gaps(),
        "ledger": shown(settings.ledger.url),
        "state_dir": str(settings.state_dir),
    }


def _probe(probed: Probed) -> dict[str, Any]:
    return {**asdict(probed), "at": datetime.fromtimestamp(probed.at, UTC).isoformat()}


def _held(held: Held) -> dict[str, Any]:
    return {**asdict(held), "at": datetime.fromtimestamp(held.at, UTC).isoformat()}


def _instance(instance: Instance) -> dict[str, Any]:
    told = ("state", "runs_cycles", "partitions", "lag")
    return {"name": instance.name, **{name: instance.state.get(name) for name in told}}


def _state(service: Status | None, alive: Status | None) -> str:
    if alive is not None:
        return alive.state
    return "never started" if service is None else STOPPED if service.state == STOPPED else "not responding"


def _elsewhere(ledger: Ledger, instances: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The running cycle that no service of this state folder works on."""
    runs = next((instance["name"] for instance in instances if instance["runs_cycles"]), None)
    running = ledger.views.running()
    if running is None:
        return None
    return {**running, "state": f"run by {runs}" if runs else "to be resumed at the next start"}


def _table(found: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    cycle, pending = found["cycle"], found["pending"]
    age = "" if pending["oldest_age_s"] is None else f", the oldest since {pending['oldest_age_s']:.0f} s"
    labels = f" and {pending['labels']} labels" if "labels" in pending else ""
    last, held = found["last_cycle"], found["held"]
    step = f", step {cycle['step']}" if cycle and cycle.get("step") else ""
    rows = {
        "state": found["state"] + (f" ({found['hold']})" if found["hold"] and not cycle else ""),
        **({"trouble": found["trouble"]} if found["trouble"] else {}),
        **({"held": f"{held['reason']}\nto do: {held['way_out']}"} if held else {}),
        **({"full retrain": _asked_for(found)} if found["asks_full"] else {}),
        "lag": "unknown" if found["lag"] is None else f"{found['lag']} events",
        "pending": f"{pending['users']} users{labels}{age}",
        "cycle": f"{cycle['cycle_id']} ({cycle['kind']}): {cycle['state']}{step}" if cycle else "none",
        "last cycle": f"{last['cycle_id']} ({last['kind']}) {last['outcome']}: {last['reason']}" if last else "none",
        **({"probe": found["probe"]["told"]} if found["probe"] else {}),
        "champion": "none yet" if found["champion"] is None else f"version {found['champion']}",
        "since the last version": _in_words(found["cycles_since_version"]),
        "read": f"{found['events']} events, {found['ignored']} ignored{_because(found['ignored_because'])},"
        f" {found['dead_letters']} dead letters"
        f" ({found['open_dead_letters']} open)",
        "ledger": found["ledger"],
    }
    if len(found["instances"]) > 1:
        rows["instances"] = "\n".join(_told(instance) for instance in found["instances"])
    if found["state"] == TOO_MANY:
        rows = {"state": rows.pop("state"), "to do": WAY_OUT, **rows}
    if gaps := found["gaps"]:
        newest = gaps[-1]
        place = f"{newest['topic']}[{newest['partition']}]@{newest['from_offset']}"
        rows["gaps"] = f"{len(gaps)} since the last full retrain, the last at {place}: {newest['reason']}"
    for name, value in rows.items():
        table.add_row(Text(name, "bold"), Text(value))
    return table


def _asked_for(found: dict[str, Any]) -> str:
    by_itself = found["full_on_drift"] and (found["held"] is None or found["held"]["asks_full"])
    how = "starts by itself" if by_itself else "`retrainer train --full` starts it"
    return f"asked for, and {how}: {found['asks_full']}"


def _in_words(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "no cycle"


def _because(reasons: dict[str, int]) -> str:
    told = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
    return f" ({told})" if told else ""


def _told(instance: dict[str, Any]) -> str:
    lag = "unknown" if instance["lag"] is None else instance["lag"]
    runs = ", runs cycles" if instance["runs_cycles"] else ""
    return f"{instance['name']}: {instance['state']}, {instance['partitions']} partitions, lag {lag}{runs}"
