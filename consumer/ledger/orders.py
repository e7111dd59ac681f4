"""What persons have ordered: a pinned champion, paused cycles, a hold-down after a rollback; with who, when and why.

All of them stand in the ledger, so every instance honours them. They bar a version from becoming champion by itself,
and a pause lets no cycle start. None of them stops a person's own promotion or rollback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, and_, func, or_, select

from consumer.changes.kinds import KINDS
from consumer.changes.portions import in_portion_of
from consumer.database.engine import reading
from consumer.database.tables import cycles, interventions, promotions, versions
from consumer.errors import LedgerError
from consumer.ledger.champions import champion
from consumer.ledger.records import when
from schemas.cycle import CycleKind, Outcome
from schemas.promotions import InterventionAction, PromotionAction

_PINS = (InterventionAction.PIN, InterventionAction.UNPIN)
_PAUSES = (InterventionAction.PAUSE, InterventionAction.RESUME)


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a person that stands."""

    by: str
    """Who gave it."""
    at: float
    """Seconds since the epoch."""
    reason: str
    version: int | None = None
    """The pinned version; of a hold-down the version that was rolled back."""
    until: float | None = None
    """When a hold-down ends; seconds since the epoch."""

    @property
    def in_words(self) -> str:
        """Who, when and why."""
        return f"by {self.by} at {when(self.at)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Standing:
    """The orders that stand now; None where there is none."""

    pin: Order | None
    pause: Order | None
    hold_down: Order | None


@dataclass(frozen=True, slots=True)
class Bar:
    """Why a registered version does not become champion by itself."""

    reason: str
    withdrawn: bool = False
    """Whether it has learned what was rolled back, so that no challenger is to be held to it."""


class Orders:
    """Pins the champion, pauses cycles, and tells what stands."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def standing(self, now: float) -> Standing:
        """What stands at `now`, in seconds since the epoch."""
        with reading(self._engine) as connection:
            return Standing(_pin(connection), _pause(connection), _hold_down(connection, now))

    def paused(self) -> Order | None:
        """The pause that stands."""
        with reading(self._engine) as connection:
            return _pause(connection)

    def pin(self, version: int | None, *, by: str, reason: str, now: float) -> int:
        """Pin the champion, which is `version` where one is named; gives the version.

        Raises:
            LedgerError: there is no champion, or it is another version.
        """
        with self._engine.begin() as connection:
            standing = champion(connection)
            if standing is None:
                raise LedgerError("there is no champion to pin yet; see `retrainer status`")
            if version not in {None, standing}:
                raise LedgerError(
                    f"version {version} is not the champion, version {standing} is: `retrainer promote {version}` first"
                )
            note_order(connection, InterventionAction.PIN, by=by, reason=reason, now=now, version=standing)
        return standing

    def unpin(self, *, by: str, reason: str, now: float) -> Order:
        """End the pin; gives the order that stood.

        Raises:
            LedgerError: nothing is pinned.
        """
        with self._engine.begin() as connection:
            if (stood := _pin(connection)) is None:
                raise LedgerError("no champion is pinned; see `retrainer status`")
            note_order(connection, InterventionAction.UNPIN, by=by, reason=reason, now=now, version=stood.version)
        return stood

    def pause(self, *, by: str, reason: str, now: float) -> None:
        """Let no cycle start from now on."""
        with self._engine.begin() as connection:
            note_order(connection, InterventionAction.PAUSE, by=by, reason=reason, now=now)

    def resume(self, *, by: str, reason: str, now: float) -> Order:
        """End the pause; gives the order that stood.

        Raises:
            LedgerError: nothing is paused.
        """
        with self._engine.begin() as connection:
            if (stood := _pause(connection)) is None:
                raise LedgerError("cycles are not paused; see `retrainer status`")
            note_order(connection, InterventionAction.RESUME, by=by, reason=reason, now=now)
        return stood


def note_order(
    connection: Connection,
    action: InterventionAction,
    *,
    by: str,
    reason: str,
    now: float,
    version: int | None = None,
) -> None:
    """Put an order on record."""
    row = {"action": action.value, "at": now, "by": by, "reason": reason, "version": version}
    connection.execute(interventions.insert().values(row))


def move_pin(connection: Connection, version: int, *, by: str, now: float) -> None:
    """Have a pin that stands go with the champion, which a person has moved to `version`."""
    if (stood := _pin(connection)) is not None:
        note_order(connection, InterventionAction.PIN, by=by, reason=stood.reason, now=now, version=version)


def bar_of(connection: Connection, cycle_id: str, now: float) -> Bar | None:
    """Why the version of a cycle that ends does not become champion by itself; None where nothing stands against it."""
    hold_down = _hold_down(connection, now)
    again = _rolled_back(connection, cycle_id) if hold_down is not None else 0
    if hold_down is not None and (again or _is_from_scratch(connection, cycle_id)):
        learned = f"{again} changes that were rolled back" if again else "everything, and so what was rolled back"
        return Bar(f"held down until {when(hold_down.until)}: it has learned {learned} {hold_down.in_words}", True)
    if (pin := _pin(connection)) is not None:
        return Bar(f"version {pin.version} is pinned {pin.in_words}")
    if (pause := _pause(connection)) is not None:
        return Bar(f"cycles are paused {pause.in_words}")
    return None


def _pin(connection: Connection) -> Order | None:
    return _order(_last(connection, _PINS), InterventionAction.PIN)


def _pause(connection: Connection) -> Order | None:
    return _order(_last(connection, _PAUSES), InterventionAction.PAUSE)


def _last(connection: Connection, actions: Sequence[InterventionAction]) -> Row[tuple[object, ...]] | None:
    which = interventions.c.action.in_([action.value for action in actions])
    newest = select(interventions).where(which).order_by(interventions.c.number.desc()).limit(1)
    return connection.execute(newest).one_or_none()


def _order(row: Row[tuple[object, ...]] | None, standing: InterventionAction) -> Order | None:
    if row is None or row.action != standing:
        return None
    return Order(row.by, row.at, row.reason, row.version)


def _hold_down(connection: Connection, now: float) -> Order | None:
    """The hold-down of the last rollback, unless its time is over, or a person has promoted a version since."""
    by_persons = promotions.c.action.in_([PromotionAction.PROMOTE.value, PromotionAction.ROLLBACK.value])
    newest = select(promotions).where(by_persons).order_by(promotions.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    if row is None or row.hold_down_until is None or now >= row.hold_down_until:
        return None
    return Order(row.by, row.at, row.reason, row.previous, row.hold_down_until)


def _rolled_back(connection: Connection, cycle_id: str) -> int:
    """How many of a cycle's claimed changes a withdrawn version has learned, or a cycle that settled them on one."""
    withdrawn = select(versions.c.version).where(versions.c.withdrawn)
    made = select(versions.c.cycle_id).where(versions.c.withdrawn)
    upon = select(cycles.c.cycle_id).where(
        and_(cycles.c.state == Outcome.UNCHANGED.value, cycles.c.base_version.in_(withdrawn))
    )
    return sum(
        connection.scalar(
            select(func.count())
            .select_from(kind.changes)
            .where(
                in_portion_of(kind, cycle_id),
                or_(kind.changes.c.learned_by.in_(made), kind.changes.c.learned_by.in_(upon)),
            )
        )
        or 0
        for kind in KINDS
    )


def _is_from_scratch(connection: Connection, cycle_id: str) -> bool:
    kind = connection.scalar(select(cycles.c.kind).where(cycles.c.cycle_id == cycle_id))
    return kind is not None and CycleKind(kind).from_scratch
