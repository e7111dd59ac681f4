"""What can go wrong in a trainer, in a file of its own so that every room can raise it."""


class TrainerError(Exception):
    """Root of the trainer's errors. A cycle that raises one ends as failed, with the message as its reason."""


class ContractError(TrainerError):
    """The feature store does not hold what the feature-group contract says."""


class RegistryError(TrainerError):
    """The model registry holds something that is not what it should be, or lacks it."""


class SpaceError(TrainerError):
    """An embedding space on disk cannot be used; a full retrain builds a new one."""


class CycleAbandoned(TrainerError):  # noqa: N818  (a signal, not a fault)
    """The cycle was told to stop. Nothing is lost: the next start repeats it."""
