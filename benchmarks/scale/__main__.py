"""Write what was measured into docs/scale.md: `python -m benchmarks.scale`.

With `--check` it writes nothing, and fails with exit code 1 where the page is not current. What measures is
`make bench ONLY=scale. KEEP=1`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.scale.page import page

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
RESULTS = Path(__file__).parents[1] / "results.json"


def main(arguments: list[str]) -> int:
    """Write the page, or check it; the exit code."""
    text = PAGE.read_text()
    current = page(text, json.loads(RESULTS.read_text()))
    if "--check" in arguments:
        if current != text:
            print("docs/scale.md is not current; run: python -m benchmarks.scale", file=sys.stderr)
        return int(current != text)
    PAGE.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
