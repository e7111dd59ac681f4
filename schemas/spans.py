"""Offsets as lists of ranges: exactly those that are meant, in order, apart from each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter

Offset = Annotated[int, Field(ge=0)]
Span = tuple[Offset, Offset]
"""[from, to): `from` is the first offset covered, `to` the first that is not."""


def _listed(told: Any) -> Any:
    """Earlier releases wrote one range, where there is a list of them now."""
    if isinstance(told, list | tuple) and len(told) == 2 and all(isinstance(one, int) for one in told):
        return (told,)
    return told


OffsetSpans = dict[str, dict[int, Annotated[tuple[Span, ...], BeforeValidator(_listed)]]]
"""{topic: {partition: ([from, to), ...)}}: the offsets that are covered, in order, apart from each other."""

_SPANS: TypeAdapter[OffsetSpans] = TypeAdapter(OffsetSpans)


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same offsets in order, as few ranges as there can be: those that touch or overlap are one."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return tuple(found)


def united(*several: Mapping[str, Mapping[Any, Any]]) -> OffsetSpans:
    """What any of these covers, be they read from JSON, of this release or an earlier one."""
    found: dict[str, dict[int, list[Span]]] = {}
    for one in several:
        for topic, partitions in _SPANS.validate_python(one).items():
            for partition, spans in partitions.items():
                found.setdefault(topic, {}).setdefault(partition, []).extend(spans)
    return {
        topic: {partition: joined(spans) for partition, spans in sorted(partitions.items())}
        for topic, partitions in sorted(found.items())
    }
