"""Who needs a version, so that it stays however old it is. A further need is one more line in `needed`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from sqlalchemy import ColumnElement, Connection, or_, select

from consumer.database.tables import RUNNING, cycles, interventions, outbox, promotions, versions
from consumer.ledger.champions import BestSince, baseline, champion
from schemas.cycle import CycleKind
from schemas.promotions import InterventionAction

CHAMPIONS_KEPT = 3
"""Champions before the present one that a rollback can go to; none that a rollback has withdrawn."""
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
    standing = champion(connection)
    yield standing, "the champion"
    for version in islice(_promoted(connection, versions.c.version != standing), CHAMPIONS_KEPT):
        yield version, "an earlier champion, to roll back to"


def _measures(connection: Connection) -> Iterator[_Need]:
    """What the next challengers are measured against."""
    scratch = baseline(connection)
    yield scratch, "the baseline"
    from_scratch = cycles.c.kind.in_([kind.value for kind in CycleKind if kind.from_scratch])
    for version in islice(_promoted(connection, from_scratch, versions.c.version != scratch), 1):
        yield version, "the baseline before, should a rollback withdraw the baseline"
    for version in BestSince().leading(connection, scratch):
        yield version, "has one of the best figures since the baseline"


def _promoted(connection: Connection, *which: ColumnElement[bool]) -> Iterator[int]:
    """Versions that were champion, the last first, each once; neither withdrawn nor deleted ones."""
    last = (
        select(promotions.c.version)
        .join(versions, versions.c.version == promotions.c.version)
        .join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
        .where(versions.c.withdrawn.is_(False), versions.c.deleted_at.is_(None), *which)
        .order_by(promotions.c.number.desc())
        .limit(_PROMOTIONS_READ)
    )
    return iter(dict.fromkeys(connection.scalars(last)))


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
