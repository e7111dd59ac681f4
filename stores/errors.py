"""What can go wrong with a feature store or a model registry, in a file of its own so that every room can raise it."""

from schemas.errors import RetrainerError


class StoreError(RetrainerError):
    """Root of the errors of stores and registries."""


class ContractError(StoreError):
    """The feature store does not hold what the feature-group contract says."""


class RegistryError(StoreError):
    """The model registry holds something that is not what it should be, or lacks it."""


class StaleFence(RegistryError):  # noqa: N818
    """Somebody else runs cycles by now: this one must not write any more."""


class ClusterError(StoreError):
    """A Hopsworks cluster did not do what it was asked for. No message holds a secret."""


class ClusterUnreachable(ClusterError):  # noqa: N818
    """It did not answer, or answered that it cannot now. Trying again may help."""


class Unauthorized(ClusterError):  # noqa: N818
    """It does not know the key, or does not let it do this."""


class NotThere(ClusterError):  # noqa: N818
    """It answered, and what was asked for is not there."""


class Refused(ClusterError):  # noqa: N818
    """It answered that the request is wrong; trying again does not help."""
