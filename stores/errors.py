"""Errors of feature stores and model registries, in a module that imports nothing heavy."""

from schemas.errors import RetrainerError


class StoreError(RetrainerError):
    """Root of the errors of stores and registries."""


class ContractError(StoreError):
    """The feature store does not hold what the feature-group contract says."""


class RegistryError(StoreError):
    """The model registry lacks something, or holds something damaged."""


class StaleFence(RegistryError):  # noqa: N818
    """Another instance runs cycles now: this one must not write any more."""


class VersionInUse(RegistryError):  # noqa: N818
    """A process has the version open. Deleting it later may work."""


class ClusterError(StoreError):
    """A Hopsworks cluster did not do what was asked. No message holds a secret."""


class ClusterUnreachable(ClusterError):  # noqa: N818
    """The cluster did not answer, or is busy. Trying again may help."""


class Unauthorized(ClusterError):  # noqa: N818
    """The cluster does not know the key, or does not permit this to its owner."""


class NotThere(ClusterError):  # noqa: N818
    """The cluster answered: what was asked for is not there."""


class Refused(ClusterError):  # noqa: N818
    """The cluster answered: the request is wrong. Trying again does not help."""
