"""Moments as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def in_utc(seconds: float) -> str:
    """A moment, given in seconds since the epoch, to the second and in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
