"""How the service is, what is pending, what runs: what `retrainer status --json` and the API give."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from consumer.clock import Clock
from consumer.cycles.runner_report import LIVE, RunnerReport
from consumer.database.address import shown
from consumer.freshness.now import freshness_now
from consumer.ledger.efforts import efforts
from consumer.ledger.instances import Instance
from consumer.ledger.ledger import Ledger
from consumer.ledger.probes import Probed
from consumer.ledger.views import Held
from consumer.notifications.now import notifications_now
from consumer.operating.records import model_events_now, order_record
from consumer.operating.state import hold_now, state_now
from consumer.settings import Settings
from consumer.status import ServiceState, Status
from consumer.vectors.following import vectors_now
from schemas.refused import LABEL


def overview(settings: Settings, ledger: Ledger, clock: Clock, service: Status | None) -> dict[str, Any]:
    """The status as `--json` gives it. `hold` is null while no service runs; `lag` is, too, while it is not known.

    State, lag and hold are those of the service on this state folder; `instances` are all that share the ledger. Labels
    are included where there is a label group, or was.

    Args:
        settings: of the service.
        ledger: is asked now.
        clock: the time.
        service: what the service on this state folder said last, read before this call; None where none ever ran.
    """
    now = clock.now()
    alive = service if service and service.alive(clock) else None
    backlog, past, read = ledger.views.backlog(), ledger.views.history(), ledger.views.read()
    failed, standing = efforts(ledger.engine, (), 0).failed, ledger.orders.standing(now)
    oldest = backlog.oldest_event_at
    labelled = settings.labels is not None or backlog.labels > 0 or past.known_labels > 0
    seen = ledger.instances.heard_within(LIVE)
    word, last = RunnerReport(alive, seen), ledger.views.last_cycle()
    cycle = word.cycle(ledger, last["cycle_id"] if last else None)
    of_ledger = {"held": past.held is not None, "failed": failed is not None, "paused": standing.pause is not None}
    hold = hold_now(alive, backlog, cycle, **of_ledger) if alive else None
    return {
        "state": state_now(alive, cycle, held=past.held is not None) if alive else _state(service),
        "trouble": alive.trouble if alive else None,
        "unable": alive.unable if alive else None,
        "lag": alive.lag if alive else None,
        "notice": alive.notice if alive else None,
        "lag_known": _lag_known(service),
        "hold": hold,
        "hold_until": alive.hold_until if alive and hold else None,
        "failing": word.failing(cycle, failed, settings.trainer.attempts),
        "full_waits": word.full_waits,
        "pending": {
            "users": backlog.users,
            "untried_users": backlog.untried,
            **({"labels": backlog.labels, "untried_labels": backlog.untried_labels} if labelled else {}),
            "oldest_age_s": None if oldest is None else round(max(0.0, now - oldest), 1),
        },
        "freshness": freshness_now(settings, ledger, now).as_json(),
        "cycle": cycle,
        "champion": past.champion,
        "served": alive.served if alive else None,
        "pin": order_record(standing.pin),
        "pause": order_record(standing.pause),
        "hold_down": order_record(standing.hold_down),
        "last_cycle": last,
        "cycles_since_version": ledger.views.outcomes_since_version(),
        "held": _held(past.held) if past.held else None,
        "asks_full": ledger.retrain_requests.why_full(),
        "full_on_drift": settings.trigger.full_on_drift,
        "probe": _probe(probed) if (probed := ledger.probes.last()) else None,
        "known_users": past.known_users,
        **({"known_labels": past.known_labels} if labelled else {}),
        "events": read.events,
        "ignored": read.ignored,
        "ignored_because": read.ignored_because,
        "dead_letters": read.dead_letters,
        "page": alive.http if alive else None,
        "instances": [_instance(instance) for instance in seen],
        "open_dead_letters": read.open_letters,
        "refused": {
            f"{what}s": count for what, count in ledger.refusals.counts().items() if count or labelled or what != LABEL
        },
        "gaps": ledger.views.open_gaps(),
        "model_events": model_events_now(settings, ledger),
        "notifications": notifications_now(settings, ledger),
        "vectors": vectors_now(settings),
        "ledger": shown(settings.ledger.url),
        "state_dir": str(settings.state_dir),
    }


def without_ledger(settings: Settings, clock: Clock, service: Status | None) -> dict[str, Any] | None:
    """What the service on this state folder says while the ledger cannot be asked; None where none runs."""
    if service is None or not service.alive(clock):
        return None
    return {
        "state": service.state,
        "trouble": service.trouble,
        "unable": service.unable,
        "lag": service.lag,
        "notice": service.notice,
        "lag_known": _lag_known(service),
        "hold": service.hold,
        "hold_until": service.hold_until,
        "failing": service.failing,
        "pending": None,
        "cycle": service.cycle,
        "page": service.http,
        "ledger": shown(settings.ledger.url),
        "state_dir": str(settings.state_dir),
    }


def _probe(probed: Probed) -> dict[str, Any]:
    return {**asdict(probed), "at": datetime.fromtimestamp(probed.at, UTC).isoformat()}


def _held(held: Held) -> dict[str, Any]:
    return {**asdict(held), "at": datetime.fromtimestamp(held.at, UTC).isoformat()}


def _instance(instance: Instance) -> dict[str, Any]:
    names = ("state", "runs_cycles", "partitions", "lag", "unable", "trouble")
    return {"name": instance.name, "id": instance.id, **{name: instance.state.get(name) for name in names}}


def _state(service: Status | None) -> str:
    if service is None:
        return "never started"
    return service.state if service.state == ServiceState.STOPPED else "not responding"


def _lag_known(service: Status | None) -> dict[str, Any] | None:
    """The lag when the service on this state folder knew it last, and when that was."""
    if service is None or service.last_lag is None or service.lag_at is None:
        return None
    return {"events": service.last_lag, "at": service.lag_at}
