"""Which versions stay in the registry and which may go: a pure function of what there is and of who needs it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """The versions that are there, in two parts."""

    stays: dict[int, tuple[str, ...]]
    """Version: why it stays, at least one reason."""
    goes: tuple[int, ...]
    """The versions that nothing keeps, the oldest first."""


def retention(versions: Collection[int], keep: int | None, needs: Mapping[int, Iterable[str]]) -> Retention:
    """Part versions by what keeps them.

    Args:
        versions: those that are there.
        keep: so many of the newest stay, whoever needs them; None: all stay.
        needs: for a version the reasons why somebody needs it; may name versions that are not there.
    """
    found = sorted(versions)
    newest = set(found if keep is None else found[max(0, len(found) - keep) :])
    newest_because = "all versions are kept" if keep is None else f"one of the newest {keep}"
    reasons = {
        version: (*needs.get(version, ()), *([newest_because] if version in newest else [])) for version in found
    }
    return Retention(
        stays={version: because for version, because in reasons.items() if because},
        goes=tuple(version for version in found if not reasons[version]),
    )
