"""The champion pointer moves: by the end of a cycle, or by a person's order, which goes back or forth among versions.

A person's order names the champion that the person saw (compare-and-set), so it fails where a cycle has promoted
another version meanwhile. With the pointer moves what the ledger takes for learned (`consumer.ledger.answering`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, func, select, update

from consumer.database.engine import reading
from consumer.database.tables import RUNNING, cycles, promotions, versions
from consumer.errors import LedgerError
from consumer.ledger.answering import Moved, answer_for
from consumer.ledger.champions import champion
from consumer.ledger.orders import move_pin
from consumer.ledger.retrain_requests import ask_full
from consumer.ledger.telling import tell_promoted
from schemas.promotions import PromotionAction


@dataclass(frozen=True, slots=True)
class Promotion:
    """A row of the history of the champion pointer."""

    number: int
    """Of the promotion; later ones have higher numbers."""
    version: int
    cycle_id: str | None
    """The cycle that registered the version; None where the ledger does not know."""
    action: PromotionAction
    by: str | None
    """The person who ordered it; None where a cycle has promoted its version."""
    reason: str
    at: float
    """Seconds since the epoch."""
    previous: int | None
    """The champion before; None at the first, and where an earlier release promoted."""
    hold_down_until: float | None
    """When the hold-down of a rollback ends."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a person's order has done."""

    promotion: Promotion
    moved: Moved
    withdrawn: tuple[int, ...]
    """The versions that a rollback withdrew."""
    running: str | None
    """The cycle that runs now, whose version will not become champion by itself."""


class Promotions:
    """Reads the history of the champion pointer, and moves the pointer for persons."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last(self) -> Promotion | None:
        """The promotion of the champion; None before the first."""
        with reading(self._engine) as connection:
            return _last(connection)

    def barred(self, version: int) -> str | None:
        """Why a version did not become champion when its cycle ended; None where it did, or is champion since."""
        with reading(self._engine) as connection:
            return connection.scalar(select(versions.c.not_promoted).where(versions.c.version == version))

    def promote(
        self, version: int, *, instead_of: int | None, by: str, reason: str, now: float, remember: bool = True
    ) -> Ordered:
        """Make a version champion, which ends a hold-down.

        Args:
            version: the version.
            instead_of: the champion that the person saw; None for none.
            by: the person.
            reason: why.
            now: seconds since the epoch.
            remember: whether the ledger notes who is settled.

        Raises:
            LedgerError: the ledger knows no such version, the version is deleted, or the champion is another.
        """
        with self._engine.begin() as connection:
            _check(connection, version, instead_of)
            return _ordered(connection, PromotionAction.PROMOTE, version, None, by, reason, now, remember=remember)

    def rollback(
        self,
        version: int | None,
        *,
        instead_of: int | None,
        by: str,
        reason: str,
        now: float,
        hold_down: float,
        remember: bool = True,
    ) -> Ordered:
        """Go back to an earlier champion, and withdraw the later ones. What they had learned is not promoted by itself
        for `hold_down` seconds. `version` is None for the champion before the present one; else see `promote`.

        Raises:
            LedgerError: there is no earlier champion, the version never was champion, or as `promote` has it.
        """
        with self._engine.begin() as connection:
            target = _before(connection, instead_of) if version is None else version
            _check(connection, target, instead_of)
            if target == instead_of:
                raise LedgerError(f"version {target} is the champion already; see `retrainer versions`")
            action = PromotionAction.ROLLBACK
            return _ordered(connection, action, target, hold_down, by, reason, now, remember=remember)


def move_champion(
    connection: Connection,
    version: int,
    *,
    action: PromotionAction = PromotionAction.CYCLE,
    by: str | None = None,
    reason: str,
    now: float,
    hold_down_until: float | None = None,
) -> int:
    """Move the champion pointer; every promotion comes by here. Gives the promotion's number."""
    row = {"version": version, "at": now, "reason": reason, "action": action.value, "by": by}
    row |= {"previous": champion(connection), "hold_down_until": hold_down_until}
    number = connection.execute(promotions.insert().values(row)).inserted_primary_key
    assert number is not None
    return int(number[0])


def _ordered(
    connection: Connection,
    action: PromotionAction,
    version: int,
    hold_down: float | None,
    by: str,
    reason: str,
    now: float,
    *,
    remember: bool,
) -> Ordered:
    withdrawn = () if hold_down is None else _withdraw(connection, version)
    free = update(versions).where(versions.c.version == version)
    connection.execute(free.values(withdrawn=False, not_promoted=None))
    until = now + hold_down if withdrawn and hold_down else None
    move_champion(connection, version, action=action, by=by, reason=reason, now=now, hold_down_until=until)
    move_pin(connection, version, by=by, now=now)
    moved = answer_for(connection, version, now, remember=remember)
    if moved.forgotten:
        why = f"version {version} is champion again, and the ledger does not know what {moved.forgotten} later cycles"
        ask_full(connection, f"{why} had learned", now)
    done = _last(connection)
    assert done is not None
    tell_promoted(connection, version=version, previous=done.previous, action=action, by=by, reason=reason, now=now)
    running = connection.scalar(select(cycles.c.cycle_id).where(cycles.c.state == RUNNING))
    return Ordered(done, moved, withdrawn, running)


def _check(connection: Connection, version: int, instead_of: int | None) -> None:
    row = connection.execute(select(versions).where(versions.c.version == version)).one_or_none()
    if row is None:
        raise LedgerError(f"the ledger knows no version {version}; see `retrainer versions`")
    if row.deleted_at is not None:
        raise LedgerError(f"version {version} was deleted from the registry, so it cannot be champion; name another")
    if (standing := champion(connection)) != instead_of:
        now_is, seen = _named(standing), _named(instead_of)
        raise LedgerError(
            f"nothing is changed: the champion is {now_is}, and not {seen}, as it was when this was ordered; see "
            "`retrainer versions`, and order it again if it still holds"
        )


def _before(connection: Connection, standing: int | None) -> int:
    """The champion before the present one that is neither withdrawn nor deleted."""
    usable = versions.c.withdrawn.is_(False), versions.c.deleted_at.is_(None)
    found = connection.scalar(
        select(promotions.c.version)
        .join(versions, versions.c.version == promotions.c.version)
        .where(promotions.c.version != standing, *usable)
        .order_by(promotions.c.number.desc())
        .limit(1)
    )
    if found is None:
        raise LedgerError(
            f"there is no champion before {_named(standing)} to go back to; `retrainer pause` stops cycles, and "
            "`retrainer promote` takes any version that is registered"
        )
    return int(found)


def _withdraw(connection: Connection, version: int) -> tuple[int, ...]:
    """Withdraw the versions of later cycles that were champion since `version` was.

    Raises:
        LedgerError: it never was.
    """
    was = select(func.max(promotions.c.number)).where(promotions.c.version == version)
    if (since := connection.scalar(was)) is None:
        raise LedgerError(f"version {version} never was champion; `retrainer promote {version}` makes it champion")
    cycle = select(cycles.c.number).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
    own = cycle.where(versions.c.version == version).scalar_subquery()
    later = (
        select(versions.c.version)
        .join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
        .join(promotions, promotions.c.version == versions.c.version)
        .where(promotions.c.number > since, cycles.c.number > own)
        .distinct()
    )
    found = tuple(sorted(connection.scalars(later)))
    connection.execute(update(versions).where(versions.c.version.in_(found)).values(withdrawn=True))
    return found


def _last(connection: Connection) -> Promotion | None:
    columns = promotions, versions.c.cycle_id
    newest = select(*columns).join(versions, versions.c.version == promotions.c.version, isouter=True)
    row = connection.execute(newest.order_by(promotions.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _promotion(row)


def _promotion(row: Row[tuple[object, ...]]) -> Promotion:
    return Promotion(
        number=row.number,
        version=row.version,
        cycle_id=row.cycle_id,
        action=PromotionAction(row.action),
        by=row.by,
        reason=row.reason,
        at=row.at,
        previous=row.previous,
        hold_down_until=row.hold_down_until,
    )


def _named(version: int | None) -> str:
    return "none" if version is None else f"version {version}"
