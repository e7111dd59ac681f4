"""Reading a listening log: lines of user, artist and plays, tab-separated, with or without a line of column names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from retrainer.demo.errors import DemoUsageError

Plays = dict[str, float]
"""How often one user has played each artist, by artist."""

MIN_USERS = 200
"""Fewer leave too few to judge a model by, once some are held back."""

_BAD_SHARE = 0.05  # a log with more bad rows than this is something else
_SHOWN = 60  # characters of a bad row in a message


def read_log(path: Path, *, min_users: int = MIN_USERS, min_artists: int = 1) -> dict[str, Plays]:
    """Read a listening log. The first field is the user, the last the plays, what is between names the artist.

    Rows of the same user and artist add up. A few bad rows are left out: too few fields, an empty name, or plays that
    are no positive number.

    Returns:
        Plays by user, in the order of appearance.

    Raises:
        DemoUsageError: it cannot be read, is no such log, or has fewer users or artists than asked for.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            log = _parsed(path, lines)
    except OSError as error:
        raise DemoUsageError(f"cannot read {path}: {error.strerror}") from error
    artists = {artist for plays in log.values() for artist in plays}
    if len(log) < min_users or len(artists) < min_artists:
        raise DemoUsageError(
            f"{path} has {len(log)} users and {len(artists)} artists; the demo needs {min_users} and {min_artists}"
        )
    return log


def _parsed(path: Path, lines: Iterable[str]) -> dict[str, Plays]:
    log: dict[str, Plays] = {}
    bad: list[tuple[int, str]] = []
    good = 0
    for number, line in enumerate(lines, start=1):
        if not (text := line.rstrip("\r\n")):
            continue
        if (row := _row(text)) is None:
            if number > 1:  # the first may name the columns
                bad.append((number, text))
            continue
        user, artist, count = row
        plays = log.setdefault(user, {})
        plays[artist] = plays.get(artist, 0.0) + count
        good += 1
    if good == 0 or len(bad) > _BAD_SHARE * (good + len(bad)):
        raise DemoUsageError(_no_log(path, bad, good + len(bad)))
    return log


def _row(text: str) -> tuple[str, str, float] | None:
    user, *artist, count = text.split("\t") if "\t" in text else ("", "")
    name = "\t".join(artist)
    if not user or not name:
        return None
    try:
        plays = float(count)
    except ValueError:
        return None
    return (user, name, plays) if 0 < plays < float("inf") else None


def _no_log(path: Path, bad: list[tuple[int, str]], rows: int) -> str:
    wanted = f"{path} is not a listening log of user, artist and plays, tab-separated"
    if not bad:
        return f"{wanted}: it has no rows"
    number, text = bad[0]
    return f"{wanted}: {len(bad):,} of {rows:,} rows are something else, the first is line {number}: {text[:_SHOWN]!r}"
