"""The split of users into train, dev and holdout: a stable hash of the id, the same in every cycle and process (P5)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from schemas.policies import SplitPolicy


class Part(IntEnum):
    """The part of a user. A pair is in the holdout when either end is, else in dev when either end is."""

    TRAIN = 0
    DEV = 1
    HOLDOUT = 2


def positions(salt: str, keys: Sequence[str]) -> NDArray[np.float64]:
    """A number in [0, 1) for each user: uniform over users, fixed for a salt."""
    secret = salt.encode()[:64]
    hashes = (blake2b(key.encode(), digest_size=8, key=secret).digest() for key in keys)
    return np.fromiter((int.from_bytes(digest, "big") / 2**64 for digest in hashes), np.float64, len(keys))


def split(policy: SplitPolicy, keys: Sequence[str]) -> NDArray[np.int8]:
    """The part of each user, (len(keys),), as values of `Part`."""
    at = positions(policy.salt, keys)
    parts = np.full(len(keys), Part.TRAIN, dtype=np.int8)
    parts[at < policy.holdout_share + policy.dev_share] = Part.DEV
    parts[at < policy.holdout_share] = Part.HOLDOUT
    return parts
