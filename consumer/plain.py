"""Free text made fit for a terminal, a file and a log: what it says is shown, and nothing in it steers anything.

Names of topics, ids of users, headers, reasons, answers of a broker, paths: others wrote them, and perhaps to steer a
terminal. All output for people passes through `one_line`, or through `plain` where a text may have several lines.
Output for machines stays exact: JSON escapes by itself.
"""

from __future__ import annotations

import codecs
import re

_LEFT_ALONE = frozenset("\n\t")
_STEERING = re.compile(r"[^\x20-\x7e]")  # what may have to be escaped; most text has none of it

_LIKE = {
    "…": "~",
    "→": "->",
    "✓": "+",
    "✔": "x",
    "✗": "x",
    "–": "-",  # noqa: RUF001
    "—": "-",
    "─": "-",
    "·": "-",
    "“": '"',
    "”": '"',
    "‘": "'",  # noqa: RUF001
    "’": "'",  # noqa: RUF001
}
"""What is written for a character of ours on a terminal that does not have it."""

UNLESS_IT_HAS_IT = "retrainer.like"
"""The error handler for streams: a character that the encoding does not have is replaced by a similar one, or
escaped."""


def plain(text: str) -> str:
    """A text in which nothing can steer a terminal: characters that cannot be printed are escaped, except line ends and
    tabs.

    Escaped are control characters and escape sequences, characters that turn the direction of writing or take no room,
    separators of lines that are no line ends, and halves of surrogate pairs.
    """
    return _STEERING.sub(_unless_harmless, text)


def one_line(text: str) -> str:
    """The same in one line: line ends and tabs are escaped too, so that no text can pass for lines of ours."""
    return _STEERING.sub(_unless_printable, text)


def indented(text: str, by: str = "  ") -> str:
    """`plain`, every line but the first moved to the right, where lines of ours never begin."""
    return plain(text).replace("\n", f"\n{by}")


def _unless_harmless(found: re.Match[str]) -> str:
    one = found[0]
    return one if one in _LEFT_ALONE else _unless_printable(found)


def _unless_printable(found: re.Match[str]) -> str:
    one = found[0]
    return one if one.isprintable() else one.encode("unicode_escape").decode()


def _like(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    written = "".join(_LIKE.get(one) or one.encode("unicode_escape").decode() for one in lacking)
    return written, error.end


codecs.register_error(UNLESS_IT_HAS_IT, _like)
