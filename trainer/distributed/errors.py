"""What may be wrong with a Ray cluster."""

from __future__ import annotations

from schemas.errors import RetrainerError


class ClusterError(RetrainerError):
    """The Ray cluster cannot be used."""
