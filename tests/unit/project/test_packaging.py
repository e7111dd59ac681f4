"""The lock names every package by hash and no place to get it from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[3] / "requirements"


@pytest.mark.parametrize("name", ["runtime.txt", "build.txt", "dev.txt", "bench.txt"])
def test_the_lock_has_hashes_and_no_index(name: str) -> None:
    text = (REQUIREMENTS / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links|-f)\b", text, re.MULTILINE)
    entries = re.split(r"\n(?=[a-zA-Z])", text)
    assert entries
    for entry in entries:
        assert re.match(r"[\w.\-]+(\[[\w,\-]+\])?==", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_what_the_service_runs_on_is_the_same_in_both_locks() -> None:
    pins = {
        name: set(re.findall(r"^([\w.\-]+(?:\[[\w,\-]+\])?==\S+)", (REQUIREMENTS / name).read_text(), re.MULTILINE))
        for name in ("runtime.txt", "dev.txt")
    }
    assert pins["runtime.txt"] <= pins["dev.txt"]
