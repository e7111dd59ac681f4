"""What computes: the processor or a GPU of the trainer's machine, and for pairs also a Ray cluster."""

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


class Device(StrEnum):
    """What a trainer multiplies with, where it mines pairs, fits and examines a model."""

    AUTO = "auto"
    """A GPU, where TensorFlow can use one, else the processor."""
    CPU = "cpu"
    """The processor alone."""
    GPU = "gpu"
    """A GPU; a cycle fails where TensorFlow can use none."""


class RayCluster(Policy):
    """The Ray cluster of `RETRAINER_ENGINE=ray`."""

    address: str | None = Field(default=None, min_length=1, examples=["ray-head:6379"])
    """Address of the cluster's head, or `auto` on one of its nodes; none starts one on this machine for each cycle."""
