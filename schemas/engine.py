"""What mines pairs: this machine, or a Ray cluster."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.base import Policy


class MiningEngine(StrEnum):
    """Where pairs are mined. The pairs are the same."""

    LOCAL = "local"
    """In threads of the trainer."""
    RAY = "ray"
    """In tasks on the nodes of a Ray cluster."""


class RayCluster(Policy):
    """The Ray cluster of `RETRAINER_ENGINE=ray`."""

    address: str | None = Field(default=None, min_length=1, examples=["ray-head:6379"])
    """Address of the cluster's head, or `auto` on one of its nodes; none starts one on this machine for each cycle."""
