"""Reading a file of friendships: lines of two users, tab-separated, with or without a line of column names."""

from __future__ import annotations

from pathlib import Path

from retrainer.demo.errors import DemoUsageError
from schemas.labels import PairKey

NAME = "user_friends.dat"
"""What the file is called that lies beside a listening log."""


def friends_beside(log: Path) -> Path | None:
    """The file of friendships beside a listening log; None where there is none."""
    beside = log.with_name(NAME)
    return beside if beside.is_file() else None


def read_friends(path: Path) -> list[PairKey]:
    """Read friendships, each once, however often and in whichever direction it stands there; in order.

    Raises:
        DemoUsageError: it cannot be read, or has a line that is no pair of users.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DemoUsageError(f"cannot read {path}: {error.strerror}") from error
    found: dict[PairKey, None] = {}
    for number, line in enumerate(lines, start=1):
        one, tab, other = line.partition("\t")
        if number == 1 or not line:  # the first names the columns; where it does not, one friendship is missed
            continue
        if not (one and tab and other) or "\t" in other:
            raise DemoUsageError(f"{path} is not a file of two users a line, tab-separated: line {number} is {line!r}")
        if one != other:
            found[min(one, other), max(one, other)] = None
    return list(found)
