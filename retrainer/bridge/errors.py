"""What ends a comparison, or the bridge, in a file of its own so that every room can raise it."""

from __future__ import annotations

from consumer.errors import ConsumerError


class BridgeError(ConsumerError):
    """The bridge cannot do its work until somebody decides or changes something."""


class HeldBack(BridgeError):  # noqa: N818  (a signal: the comparison is repeated)
    """More users would be deleted than is plausible: nothing is deleted until somebody says that it is right."""


class Stopped(Exception):  # noqa: N818  (a signal, not a fault)
    """The bridge was told to stop, and did so between two steps."""
