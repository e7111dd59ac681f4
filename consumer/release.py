"""Which release this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def release() -> str | None:
    """The release as it is installed; None where only the sources are there."""
    try:
        return version("retrainer")
    except PackageNotFoundError:
        return None
