"""An order that came from elsewhere than the command line is carried out: it goes into the ledger, as there.

So any instance takes it, and all honour it. Each gives what is answered, ready for JSON.
"""

from __future__ import annotations

from typing import Any

from consumer.errors import LedgerError
from consumer.ledger.ledger import Ledger
from consumer.operating.records import order_record, promotion_record
from consumer.settings import Settings
from schemas.api.orders import Order, Pause, Pin, Promote, Resume, Retrain, Rollback, Unpin
from schemas.cycle import CycleKind


class NothingPending(LedgerError):  # noqa: N818  (a state, not a fault)
    """A cycle on top of the champion would have nothing to learn."""


def carry_out(order: Order, settings: Settings, ledger: Ledger, *, by: str, now: float) -> dict[str, Any]:
    """Carry out an order of `by`, at `now` in seconds since the epoch.

    Raises:
        LedgerError: the state of the ledger does not allow it; nothing is changed.
    """
    match order:
        case Retrain():
            return _retrain(order, ledger, by, now)
        case Pause():
            ledger.orders.pause(by=by, reason=order.reason.strip(), now=now)
            return {"pause": order_record(ledger.orders.paused()), "running_cycle": _running(ledger)}
        case Unpin():  # before Resume, of which it is a kind
            return {"ended": order_record(ledger.orders.unpin(by=by, reason=order.reason.strip(), now=now))}
        case Resume():
            return {"ended": order_record(ledger.orders.resume(by=by, reason=order.reason.strip(), now=now))}
        case Pin():
            return {"version": ledger.orders.pin(order.version, by=by, reason=order.reason.strip(), now=now)}
        case Promote() | Rollback():
            return _move(order, settings, ledger, by, now)
    raise TypeError(f"{type(order).__name__} is no order that can be carried out")


def _retrain(order: Retrain, ledger: Ledger, by: str, now: float) -> dict[str, Any]:
    kind = CycleKind.FULL if order.full else CycleKind.INCREMENTAL
    if kind is CycleKind.INCREMENTAL and ledger.views.backlog().empty:
        raise NothingPending("nothing is pending, so a cycle would learn nothing; a full retrain reads every user")
    why = f"{by}: {order.reason.strip()}"
    number = ledger.retrain_requests.ask(kind, "operator", now, order.accept, why)
    return {
        "request": number,
        "kind": kind.value,
        "accept": sorted(order.accept),
        "by": by,
        "running_cycle": _running(ledger),
    }


def _move(order: Promote | Rollback, settings: Settings, ledger: Ledger, by: str, now: float) -> dict[str, Any]:
    seen = order.instead_of if order.instead_of is not None else ledger.views.history().champion
    reason, remember = order.reason.strip(), settings.ledger.remember
    if isinstance(order, Promote):
        done = ledger.promotions.promote(
            order.version, instead_of=seen, by=by, reason=reason, now=now, remember=remember
        )
    else:
        done = ledger.promotions.rollback(
            order.version,
            instead_of=seen,
            by=by,
            reason=reason,
            now=now,
            hold_down=settings.promotion.hold_down,
            remember=remember,
        )
    return promotion_record(done, None)  # the instance that runs cycles has the registry show it


def _running(ledger: Ledger) -> str | None:
    running = ledger.views.running()
    return None if running is None else str(running["cycle_id"])
