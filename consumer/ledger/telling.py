"""What model events say of a promotion and of the end of a cycle, as the ledger knows it in the same transaction."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Connection, select

from consumer.database.tables import cycles, promotions, versions
from consumer.ledger.outbox import tell
from schemas.cycle import CycleResult, Outcome
from schemas.model_events import ModelEventFacts, ModelEventType
from schemas.promotions import PromotionAction

_REFUSED = {Outcome.REJECTED, Outcome.INCONCLUSIVE}


class _Standing(NamedTuple):
    """The champion, the number of the promotion that made it so, and the champion before."""

    champion: int | None
    promotion: int
    previous: int | None


def tell_promoted(
    connection: Connection,
    *,
    version: int,
    previous: int | None,
    action: PromotionAction,
    by: str | None,
    reason: str,
    now: float,
) -> None:
    """Tell of the promotion that this transaction has just written: the last row of `promotions`.

    Args:
        connection: the transaction.
        version: the champion now.
        previous: the champion before; None for none.
        action: how it became champion; a rollback is told as such.
        by: the person who ordered it; None where a cycle did it.
        reason: why.
        now: seconds since the epoch.
    """
    result = _result_of(connection, version)
    facts = ModelEventFacts(
        version=version,
        champion=version,
        promotion=(number := _standing(connection).promotion),
        previous=previous,
        cycle_id=result.cycle_id if result else None,
        outcome=result.outcome if result else None,
        reason=reason,
        by=by,
        towers_changed=_towers_changed(connection, version, previous),
        **_judged(result),
    )
    kind = ModelEventType.ROLLED_BACK if action is PromotionAction.ROLLBACK else ModelEventType.PROMOTED
    tell(connection, f"p{number}", kind, facts, now)


def tell_ended(connection: Connection, result: CycleResult, now: float) -> None:
    """Tell of the end of a cycle, after all else that the transaction writes of it. Some outcomes are no news."""
    standing = _standing(connection)
    if result.version is not None and result.version == standing.champion:
        tell_promoted(
            connection,
            version=result.version,
            previous=standing.previous,
            action=PromotionAction.CYCLE,
            by=None,
            reason=result.reason,
            now=now,
        )
        return
    if (kind := _kind_of(result)) is None:
        return
    facts = ModelEventFacts(
        version=result.version,
        champion=standing.champion,
        promotion=standing.promotion,
        cycle_id=result.cycle_id,
        outcome=result.outcome,
        reason=_why_not(connection, result) or result.reason,
        way_out=result.way_out,
        **_judged(result),
    )
    tell(connection, result.cycle_id, kind, facts, now)


def _kind_of(result: CycleResult) -> ModelEventType | None:
    if result.outcome in _REFUSED:
        return ModelEventType.REFUSED
    return {Outcome.HELD: ModelEventType.HELD, Outcome.REGISTERED: ModelEventType.REGISTERED}.get(result.outcome)


def _why_not(connection: Connection, result: CycleResult) -> str | None:
    """Why a registered version is not champion, where that is on record."""
    if result.version is None:
        return None
    return connection.scalar(select(versions.c.not_promoted).where(versions.c.version == result.version))


def _standing(connection: Connection) -> _Standing:
    newest = select(promotions).order_by(promotions.c.number.desc()).limit(2)
    rows = connection.execute(newest).all()
    if not rows:
        return _Standing(None, 0, None)
    before = rows[0].previous
    return _Standing(rows[0].version, rows[0].number, rows[1].version if before is None and rows[1:] else before)


def _result_of(connection: Connection, version: int) -> CycleResult | None:
    """The result of the cycle that registered a version; None where the ledger has none that this release can read."""
    of = select(cycles.c.result).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
    found = connection.scalar(of.where(versions.c.version == version))
    try:
        return None if found is None else CycleResult.model_validate(found)
    except ValidationError:  # the news lack figures then; a promotion does not fail over them
        return None


def _judged(result: CycleResult | None) -> dict[str, Any]:
    """The figures of a result, and with which version's vectors it goes."""
    if result is None:
        return {}
    report, gate = result.compatibility, result.gate
    return {
        "compatibility": report,
        "index_compatible_with": report.version if report is not None and report.compatible else None,
        "figures": gate.challenger if gate else None,
        "champion_figures": gate.champion if gate else None,
    }


def _towers_changed(connection: Connection, version: int, previous: int | None) -> bool:
    """Whether a version's towers may differ from the previous champion's; False only where it is known that not.

    Known is what the cycles of the versions between found, each beside the version that it built on.
    """
    if previous is None:
        return True
    at, older = max(version, previous), min(version, previous)
    while at > older:
        result = _result_of(connection, at)
        if result is None or result.base_version is None or not _kept_towers(result):
            return True
        at = result.base_version
    return at != older


def _kept_towers(result: CycleResult) -> bool:
    report = result.compatibility
    if report is not None and report.version == result.base_version:
        return not report.towers_changed
    return result.fit is not None and not result.fit.learned
