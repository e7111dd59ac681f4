"""Which value of a primary key names a user."""

from __future__ import annotations

from numbers import Integral


def user_key(value: object) -> str | None:
    """A primary key's value as a user id: text as it is, a whole number in digits; None where it names nobody.

    Null, the empty text, bytes, and fractions name nobody: a NaN is what a null becomes on its way through a data
    frame, and one user must not have two names.
    """
    if isinstance(value, str):
        return str(value) or None
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    return None
