"""What can go wrong in a trainer, in a file of its own so that every room can raise it."""


class TrainerError(Exception):
    """Root of the trainer's errors. A cycle that raises one ends as failed, with the message as its reason."""


class ContractError(TrainerError):
    """The feature store does not hold what the feature-group contract says."""


class RegistryError(TrainerError):
    """The model registry holds something that is not what it should be, or lacks it."""


class ChampionGone(RegistryError):  # noqa: N818
    """The version to follow is not to be had, or cannot be followed. `way_out` says what a person can do."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(reason)
        self.way_out = way_out


class StaleFence(RegistryError):  # noqa: N818
    """Somebody else runs cycles by now: this one must not write any more."""


class SpaceError(TrainerError):
    """An embedding space on disk cannot be used; a full retrain builds a new one."""


class ClusterError(TrainerError):
    """A Hopsworks cluster did not do what it was asked for. No message holds a secret."""


class Unreachable(ClusterError):  # noqa: N818
    """It did not answer, or answered that it cannot now. Trying again may help."""


class Unauthorized(ClusterError):  # noqa: N818
    """It does not know the key, or does not let it do this."""


class NotThere(ClusterError):  # noqa: N818
    """It answered, and what was asked for is not there."""


class Refused(ClusterError):  # noqa: N818
    """It answered that the request is wrong; trying again does not help."""


class CycleAbandoned(TrainerError):  # noqa: N818  (a signal, not a fault)
    """The cycle was told to stop. Nothing is lost: the next start repeats it."""
