"""This machine: clock, disk, ledger, cycles that need a person, and whether a service runs here."""

from __future__ import annotations

import os
import shutil
import time

from consumer.clock import Clock
from consumer.configuration.dead_letters import WAY_OUT
from consumer.cycles.failure_report import FailureReport
from consumer.cycles.runner_report import LIVE, RunnerReport
from consumer.database.address import shown, weakness
from consumer.errors import LedgerError, NoLedger, OldLedger
from consumer.ledger.efforts import efforts
from consumer.ledger.ledger import Ledger
from consumer.ledger.looking import look
from consumer.listener.state import ListenerState
from consumer.status import ServiceState, read_status
from retrainer.doctor.checks import Check, Finding, failed, ok, skipped, warning
from retrainer.doctor.context import CheckContext
from retrainer.doctor.folders import existing, why_not_writable

CLOCK, DISK, LEDGER, CYCLES, SERVICE = "clock", "disk", "ledger", "cycles", "service"

OFF, FAR_OFF = 5.0, 60.0  # seconds
LITTLE, TOO_LITTLE = 5 * 10**9, 10**9  # bytes: a cycle stages models and embedding spaces of some hundred MB

_CLOCK = "set the clock by NTP (timedatectl set-ntp true): ages of events, time windows and certificates depend on it"


def machine_checks(context: CheckContext) -> list[Check]:
    """The checks for every configuration."""
    return [
        Check(CLOCK, lambda: _clock(context)),
        Check(DISK, lambda: _disk(context)),
        Check(LEDGER, lambda: _ledger(context)),
        Check(CYCLES, lambda: _cycles(context), needs=(LEDGER,)),
        Check(SERVICE, lambda: _service(context)),
    ]


def _clock(context: CheckContext) -> Finding:
    server, newest = context.server.known, context.newest.known
    offset, against = server.ahead if server else None, "the cluster's"
    if offset is None:
        # A record may be old, but it cannot come from the future.
        made_at = newest.made_at if newest else None
        if made_at is None or made_at <= time.time() + OFF:
            return skipped("there is no other clock to compare with, or it tells nothing")
        offset, against = made_at - time.time(), "the newest record's"
    if abs(offset) <= OFF:
        return ok(f"within {OFF:.0f} s of {against}")
    found = f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead of'} {against}"
    return failed(found, _CLOCK) if abs(offset) > FAR_OFF else warning(found, _CLOCK)


def _disk(context: CheckContext) -> Finding:
    state = context.settings.state_dir
    folder = existing(state)
    if (why := why_not_writable(folder)) is not None:
        return failed(f"{folder} cannot be written: {why}", "set RETRAINER_STATE_DIR, or the folder's owner")
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free for {state}"
    if free >= LITTLE:
        return ok(found)
    todo = "make room, or set RETRAINER_STATE_DIR to a bigger disk"
    return failed(found, todo) if free < TOO_LITTLE else warning(found, todo)


def _ledger(context: CheckContext) -> Finding:
    url = context.settings.ledger.url
    try:
        pending, dead = look(url, lambda ledger: (ledger.views.backlog().users, ledger.views.read().open_letters))
    except NoLedger:
        return ok("none yet; the first start makes it")
    except OldLedger as error:
        return warning(str(error), "stop every service on it and keep a copy, then `retrainer run`")
    except LedgerError as error:
        in_file = url.startswith("sqlite")
        todo = "put it back from a copy, or set RETRAINER_STATE_DIR to a new folder to start again"
        return failed(str(error), todo if in_file else "see RETRAINER_LEDGER__URL and the log of PostgreSQL")
    found = f"{shown(url)} opens; {pending} users pending, {dead} open dead letters"
    if weak := weakness(url, os.environ):
        return warning(f"{found}; {weak}", "set `sslmode=verify-full` and `sslrootcert` in RETRAINER_LEDGER__URL")
    return warning(found, "see `retrainer dead-letters list`, then `replay` or `discard` them") if dead else ok(found)


def _cycles(context: CheckContext) -> Finding:
    try:
        held, last, why_full, failing = look(
            context.settings.ledger.url,
            lambda ledger: (
                ledger.views.history().held,
                ledger.views.last_cycle(),
                ledger.retrain_requests.why_full(),
                _failing(context, ledger),
            ),
        )
    except NoLedger:
        return ok("none yet")
    except OldLedger:
        return skipped("the ledger has to be brought up to date first")
    if held is not None:
        return failed(_one_line(f"{held.cycle_id} was held: {held.reason}"), _one_line(held.way_out))
    if failing is not None:
        return warning(_one_line(failing.in_words), "see the log of the service for the trainer's last words")
    if why_full is not None and not context.settings.trigger.full_on_drift:
        return warning(_one_line(f"a full retrain is asked for: {why_full}"), "`retrainer train --full`")
    return ok(_one_line(f"the last ended {last['outcome']}: {last['reason']}") if last else "none has ended yet")


def _failing(context: CheckContext, ledger: Ledger) -> FailureReport | None:
    """The failing cycle, if any: the instance that runs cycles knows it, and the time of the next try."""
    status, last = read_status(context.settings.status_file), ledger.views.last_cycle()
    word = RunnerReport(status if status and status.alive(Clock()) else None, ledger.instances.heard_within(LIVE))
    cycle = word.cycle(ledger, last["cycle_id"] if last else None)
    said = word.failing(cycle, efforts(ledger.engine, (), 0).failed, context.settings.trainer.attempts)
    return FailureReport(**said) if said else None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _service(context: CheckContext) -> Finding:
    status, clock = read_status(context.settings.status_file), Clock()
    if status is None or status.state == ServiceState.STOPPED:
        return ok(f"not running{' here yet' if status is None else ''}; `retrainer run` starts it")
    if status.alive(clock):
        silent = status.deafness(clock)
        found = f"running: {status.state}, last polled {silent:.0f} s ago"
        if silent > context.settings.health.max_age:
            return warning(found, "see its log for what holds the listener up, then start it again; nothing is lost")
        return warning(found, WAY_OUT) if status.state == ListenerState.TOO_MANY_DEAD_LETTERS else ok(found)
    return warning(
        f"it last wrote its status {status.silence(clock):.0f} s ago, and did not say that it stops",
        "it was killed, or hangs: see its log, then `retrainer run`; nothing is lost",
    )
