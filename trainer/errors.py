"""Errors of the trainer, in a module that imports nothing heavy."""

from schemas.errors import RetrainerError
from stores.errors import RegistryError


class TrainerError(RetrainerError):
    """Root of the trainer's errors. A cycle that raises one ends as failed, with the message as its reason."""


class ChampionGone(RegistryError):  # noqa: N818
    """The champion is missing, or cannot be followed. `way_out` says what a person can do."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(reason)
        self.way_out = way_out


class ClaimUnknown(TrainerError):  # noqa: N818
    """A version does not tell what its cycle had claimed, so the cycle cannot be run again by the version alone."""


class NoDevice(TrainerError):  # noqa: N818
    """The device that the settings ask for is not there; the message says what can be done."""


class SpaceError(TrainerError):
    """An embedding space on disk cannot be used; a full retrain builds a new one."""


class CycleAbandoned(TrainerError):  # noqa: N818  (a signal, not a fault)
    """A signal to stop ended the cycle. Nothing is lost: the next start repeats the cycle."""


class ExportError(TrainerError):
    """A version cannot be put where it is to be served from; the message says what is in the way."""
