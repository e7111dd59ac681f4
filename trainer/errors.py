"""What can go wrong in a trainer, in a file of its own so that every room can raise it."""

from schemas.errors import RetrainerError
from stores.errors import RegistryError


class TrainerError(RetrainerError):
    """Root of the trainer's errors. A cycle that raises one ends as failed, with the message as its reason."""


class ChampionGone(RegistryError):  # noqa: N818
    """The version to follow is not to be had, or cannot be followed. `way_out` says what a person can do."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(reason)
        self.way_out = way_out


class SpaceError(TrainerError):
    """An embedding space on disk cannot be used; a full retrain builds a new one."""


class CycleAbandoned(TrainerError):  # noqa: N818  (a signal, not a fault)
    """The cycle was told to stop. Nothing is lost: the next start repeats it."""
