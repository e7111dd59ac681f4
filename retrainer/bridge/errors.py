"""Errors of the bridge."""

from __future__ import annotations

from consumer.errors import ConsumerError


class BridgeError(ConsumerError):
    """The bridge cannot work until a person decides or changes something."""


class HeldBack(BridgeError):  # noqa: N818  (a signal: the comparison is repeated)
    """More users would be deleted than is plausible: none is deleted until a person confirms."""


class Stopped(Exception):  # noqa: N818  (a signal, not a fault)
    """The bridge was asked to stop, and stopped between two steps."""
