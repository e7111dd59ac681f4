"""Turns values of a primary key into user ids."""

from __future__ import annotations

from numbers import Integral


def user_key(value: object) -> str | None:
    """The user id of a primary key's value: text as it is, an integer in digits; None where the value names nobody.

    Null, the empty text, bytes and fractions name nobody. A null becomes a NaN on its way through a data frame, and one
    user must not have two ids.
    """
    if isinstance(value, str):
        return str(value) or None
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    return None
