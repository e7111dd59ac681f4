"""Text that somebody else wrote, and meant for a terminal."""

from __future__ import annotations

import unicodedata

HOSTILE = {
    "title": "\x1b]0;owned\x07",
    "screen": "\x1b[2J\x1b[1;1H",
    "hidden": "\x1b[8msecret\x1b[0m",
    "C1": "\x9b2J",
    "over the line": "fine\rgone",
    "back": "abc\b\b\bxyz",
    "bidi": "user\u202etxt.exe\u202c \u2066x\u2069",
    "no room": "a\u200bb\ufeffc",
    "lines": "x\nstatus    replayed\n\nretrainer: all is well\u2028and more\x85yes\x0b\x0c",
    "markup": "[/b] [bold red]x[/bold red] [link=http://x]y[/link] :smile: [/]",
    "half a pair": "\udc80\ud83d",
    "tab": "a\tb",
    "NUL": "a\0b",
    "delete": "a\x7fb",
}
"""By what it would do."""


def steering(text: str) -> list[str]:
    """The characters in it that a terminal obeys, or that hide what is there; line ends and tabs are not among them."""
    return [one for one in text if one not in "\n\t" and unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
