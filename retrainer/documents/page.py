"""A page that is written from the code: written, or compared with what stands in docs/."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def write_or_check(name: str, page: Callable[[], str], arguments: list[str], *, docs: Path = DOCS) -> int:
    """Write the page, or with `--check` write nothing and say whether it is current; gives the exit code."""
    path, current = docs / name, page()
    if arguments != ["--check"]:
        path.write_text(current)
        return 0
    if not path.exists() or path.read_text() != current:
        sys.stderr.write(f"docs/{name} is not what the code says; `make schemas` writes it\n")
        return 1
    return 0


def cell(text: str) -> str:
    """A text as a cell of a table takes it."""
    return " ".join(text.split()).replace("|", "\\|")
