"""The model registry as the trainer sees it: versions of one model, each made by one cycle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.manifest import ModelManifest


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A complete version: its number and what it is."""

    version: int
    manifest: ModelManifest


_NAMED = 5


def some_of(versions: Iterable[int]) -> str:
    """The newest of these, for a message: there may be thousands."""
    known = sorted(versions)
    if len(known) <= _NAMED:
        return ", ".join(map(str, known)) or "none"
    return f"{', '.join(map(str, known[-_NAMED:]))} and {len(known) - _NAMED} earlier ones"


class ModelRegistry(Protocol):
    """A store of the versions of one model. A version is complete, or it is not there."""

    def find(self, cycle_id: str) -> RegisteredVersion | None:
        """The version that this cycle registered; None where it registered none."""

    def enter(self, fence: int) -> None:
        """Begin to run a cycle with a fencing token: from now on earlier tokens are refused.

        Tokens grow (`consumer.ledger.leases`). A registry that cannot compare and set keeps no token: there the ledger
        is asked right before a cycle registers, which leaves a small gap.

        Raises:
            StaleFence: an instance with a later token has entered.
        """

    def register(self, staged: Path, fence: int = 0, min_version_exclusive: int = 0) -> RegisteredVersion:
        """Register the model in the folder `staged`, which holds a manifest and the files that it lists.

        Idempotent by the manifest's cycle id: a cycle that has registered gets the version it has (P2). A new one gets
        a number higher than `min_version_exclusive`, and than those of all versions that are there.

        Raises:
            StaleFence: an instance with a later token than `fence` has entered; nothing was registered.
            RegistryError: the folder is not what its manifest says, or the registry refuses it.
        """

    def fetch(self, version: int) -> Path:
        """A folder with the version's files, each checked against the manifest. The folder is read-only.

        Raises:
            RegistryError: there is no such version, or a file is missing or damaged.
        """

    def delete(self, version: int, cycle_id: str, fence: int = 0) -> None:
        """Delete a version, if the cycle made it; does nothing where it is not there, or is another cycle's.

        Readers see the version whole or not at all; whoever has fetched it goes on. Its number is never given again. A
        call that was cut short leaves nothing that looks whole, and the next call does the rest.

        Raises:
            StaleFence: an instance with a later token than `fence` has entered; nothing was deleted.
            VersionInUse: a process has the version open; nothing was deleted.
            RegistryError: the registry cannot be written.
        """

    def versions(self) -> list[RegisteredVersion]:
        """All complete versions, oldest first."""
