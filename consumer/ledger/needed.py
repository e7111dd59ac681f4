"""Who needs a version, so that it stays however old it is. A further need is one more line in `needed`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from sqlalchemy import Connection, or_, select

from consumer.database.tables import RUNNING, cycles, interventions, outbox, promotions
from consumer.ledger.champions import BestSince, baseline, champion
from schemas.promotions import InterventionAction

CHAMPIONS_KEPT = 4
"""The champion, and those before it that a rollback can go to."""
_PROMOTIONS_READ = 100  # a person may go back and forth between the same versions

_Need = tuple[int | None, str]


def needed(
    connection: Connection, channels: Collection[str] = (), further: Mapping[int, str] | None = None
) -> dict[int, tuple[str, ...]]:
    """Version: the reasons why it has to stay, as the ledger knows them in this transaction.

    Args:
        connection: a transaction; one that writes, where versions are marked by the answer.
        channels: `topic`, `webhook`: where model events go. Nobody waits for events of the others.
        further: needs that lie outside the ledger, such as what a published vector set was made by.
    """
    found: dict[int, list[str]] = {}
    for version, reason in [
        *_champions(connection),
        *_measures(connection),
        *_pinned(connection),
        *_running(connection),
        *_told(connection, channels),
        *(further or {}).items(),
    ]:
        if version is not None and reason not in found.setdefault(version, []):
            found[version].append(reason)
    return {version: tuple(reasons) for version, reasons in found.items()}


def _champions(connection: Connection) -> Iterator[_Need]:
    last = select(promotions.c.version).order_by(promotions.c.number.desc()).limit(_PROMOTIONS_READ)
    distinct = dict.fromkeys(connection.scalars(last))
    for at, version in enumerate(islice(distinct, CHAMPIONS_KEPT)):
        yield version, "an earlier champion, to roll back to" if at else "the champion"


def _measures(connection: Connection) -> Iterator[_Need]:
    """What the next challengers are measured against."""
    scratch = baseline(connection)
    yield scratch, "the baseline"
    for version in BestSince().leading(connection, scratch):
        yield version, "has one of the best figures since the baseline"


def _pinned(connection: Connection) -> Iterator[_Need]:
    pins = interventions.c.action.in_([InterventionAction.PIN, InterventionAction.UNPIN])
    last = connection.execute(
        select(interventions.c.action, interventions.c.version).where(pins).order_by(interventions.c.number.desc())
    ).first()
    if last is not None and last.action == InterventionAction.PIN:
        yield (champion(connection) if last.version is None else last.version), "pinned"


def _running(connection: Connection) -> Iterator[_Need]:
    columns = cycles.c.cycle_id, cycles.c.base_version, cycles.c.anchor_version
    for cycle in connection.execute(select(*columns).where(cycles.c.state == RUNNING)):
        reason = f"cycle {cycle.cycle_id} is measured against it"
        for version in (cycle.base_version, cycle.anchor_version):
            yield version, reason
        for version in BestSince().leading(connection, cycle.anchor_version):
            yield version, reason


def _told(connection: Connection, channels: Collection[str]) -> Iterator[_Need]:
    """What model events speak of that are not sent yet: whoever gets one fetches the version."""
    waits = [outbox.c[f"sent_to_{channel}"].is_(False) for channel in sorted(channels)]
    if waits:
        for event in connection.scalars(select(outbox.c.event).where(or_(*waits))):
            told = event.get("facts", {})
            for version in (told.get("version"), told.get("champion")):
                yield version, "a model event that is not sent yet names it"
