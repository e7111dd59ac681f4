"""An order, a promotion and the model events, as `--json` and the API give them."""

from __future__ import annotations

from typing import Any

from consumer.ledger.ledger import Ledger
from consumer.ledger.orders import Order
from consumer.ledger.outbox import Channel
from consumer.ledger.promotions import Ordered
from consumer.ledger.records import when
from consumer.model_events.followers import channels_of
from consumer.settings import Settings


def order_record(order: Order | None) -> dict[str, Any] | None:
    """An order as `--json` gives it; None where none stands."""
    if order is None:
        return None
    found: dict[str, Any] = {"by": order.by, "at": when(order.at), "reason": order.reason}
    found |= {} if order.version is None else {"version": order.version}
    return found | ({} if order.until is None else {"until": when(order.until)})


def promotion_record(done: Ordered, not_shown: str | None) -> dict[str, Any]:
    """What an order has done to the champion, and why the registry does not show it yet; None where it does."""
    promotion, moved = done.promotion, done.moved
    return {
        "version": promotion.version,
        "cycle_id": promotion.cycle_id,
        "action": promotion.action.value,
        "by": promotion.by,
        "reason": promotion.reason,
        "at": when(promotion.at),
        "promotion": promotion.number,
        "previous": promotion.previous,
        "withdrawn": list(done.withdrawn),
        "given_back": moved.given_back,
        "learned": moved.learned,
        "forgotten_cycles": moved.forgotten,
        "hold_down_until": when(promotion.hold_down_until),
        "running_cycle": done.running,
        "not_mirrored": not_shown,
    }


def model_events_now(settings: Settings, ledger: Ledger) -> dict[str, Any] | None:
    """How many events wait for each channel that is set, and what the webhook never got; None where none is set."""
    if not (channels := channels_of(settings)):
        return None
    by_webhook = Channel.WEBHOOK in channels
    gone = ledger.outbox.given_up() if by_webhook else None
    return {
        "waiting": {channel.value: ledger.outbox.count_waiting(channel) for channel in channels},
        "trouble": ledger.outbox.trouble() if by_webhook else None,
        "given_up": gone.events if gone else 0,
        "given_up_because": gone.last_error if gone else None,
    }
