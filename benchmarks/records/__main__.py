"""Write what was measured into docs/sizing.md, docs/scale.md and docs/learning.md: `python -m benchmarks.records`.

With `--check` it writes nothing, and fails with exit code 1 where a page is not current. What measures is `make bench`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.records import missed
from benchmarks.records.store import Kinds, read
from benchmarks.scale import page as scale
from benchmarks.sizing import page as sizing

RESULTS = Path(__file__).parents[1] / "results.json"
_DOCS = Path(__file__).parents[2] / "docs"
PAGES: dict[Path, tuple[str, str, Callable[[Kinds], str]]] = {
    _DOCS / "sizing.md": (sizing.BEGIN, sizing.END, sizing.tables),
    _DOCS / "scale.md": (scale.BEGIN, scale.END, scale.tables),
    _DOCS / "learning.md": (missed.BEGIN, missed.END, missed.tables),
}
"""Of each page the marks, and what stands between them."""


def between(text: str, begin: str, end: str, tables: str) -> str:
    """A page with the tables of today between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page needs the lines {begin} and {end}")
    return f"{before}{begin}\n\n{tables}\n\n{end}{after}"


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; the exit code."""
    kinds, stale = read(RESULTS), False
    for path, (begin, end, tables) in PAGES.items():
        text = path.read_text()
        current = between(text, begin, end, tables(kinds))
        if "--check" not in arguments:
            path.write_text(current)
        elif current != text:
            stale = True
            print(f"docs/{path.name} is not current; run: python -m benchmarks.records", file=sys.stderr)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
