"""Calls of a feature store, a label store or a registry: what a cycle asked of them, and how that went."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Frozen


class CalledAt(StrEnum):
    """Who was asked."""

    FEATURES = "features"
    LABELS = "labels"
    REGISTRY = "registry"


class Call(StrEnum):
    """What was asked, by the methods of `FeatureStore`, `LabelStore` and `ModelRegistry`."""

    OPEN = "open"
    """To open it."""
    CHECK_CONTRACT = "check_contract"
    SNAPSHOT = "snapshot"
    READ = "read"
    COUNT = "count"
    FIND = "find"
    ENTER = "enter"
    REGISTER = "register"
    FETCH = "fetch"
    DELETE = "delete"
    VERSIONS = "versions"


class CallOutcome(StrEnum):
    """How a call went; all but `ok` are errors of `stores.errors`."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    """Nobody answered, or was too busy to."""
    UNAUTHORIZED = "unauthorized"
    NOT_THERE = "not_there"
    """What was asked for is not there."""
    REFUSED = "refused"
    """The request is wrong."""
    STALE_FENCE = "stale_fence"
    """Another instance runs cycles now."""
    CONTRACT = "contract"
    """The store does not hold what the contract says."""
    ERROR = "error"
    """Anything else."""


class CallReport(Frozen):
    """Calls of one kind that went the same way."""

    where: CalledAt
    call: Call
    outcome: CallOutcome
    count: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(ge=0)]
    """How long all of them took together."""


def joined(reports: Iterable[CallReport]) -> tuple[CallReport, ...]:
    """The same calls, those of one kind that went the same way in one report, in the order of the enumerations."""
    found: dict[tuple[CalledAt, Call, CallOutcome], tuple[int, float]] = {}
    for one in reports:
        count, seconds = found.get(key := (one.where, one.call, one.outcome), (0, 0.0))
        found[key] = count + one.count, seconds + one.seconds
    return tuple(
        CallReport(where=where, call=call, outcome=outcome, count=count, seconds=round(seconds, 3))
        for (where, call, outcome), (count, seconds) in sorted(found.items())
    )
