"""The ids of a cycle's trace. They follow from the cycle's id: every process knows them, and told twice it is one."""

from __future__ import annotations

from hashlib import blake2b

ROOT = "cycle"
"""The key of the span of the whole cycle."""

_TRACE, _SPAN = 16, 8  # bytes, by W3C Trace Context


def trace_id_of(cycle_id: str) -> str:
    """The id of a cycle's trace: 32 hexadecimal digits."""
    return _digits(cycle_id, _TRACE)


def span_id_of(cycle_id: str, key: str) -> str:
    """The id of a span in a cycle's trace: 16 hexadecimal digits. `key` names the span among those of its cycle."""
    return _digits(f"{cycle_id}/{key}", _SPAN)


def traceparent_of(cycle_id: str) -> str:
    """The span of a cycle as W3C Trace Context and CloudEvents name it to others: recorded, version 00."""
    return f"00-{trace_id_of(cycle_id)}-{span_id_of(cycle_id, ROOT)}-01"


def _digits(text: str, size: int) -> str:
    return blake2b(text.encode(), digest_size=size, person=b"retrainer").hexdigest()
