"""The decoders under a fuzzer, seconds here and minutes in `make fuzz`; what it once found is tried again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from schemas.hopsworks import Source
from schemas.keys import BadEvent
from tests.fuzz.properties import Record, verdict_on
from tests.fuzz.seeds import GROUPS

OURS = (("featureGroupId", b"13"),)
FOUND: list[tuple[Source, Record, str]] = [
    ("notification", Record(b"q1\0\0", None), "NUL"),
    ("notification", Record(None, rb'{"entry": {"user_id": "\u0000"}}'), "NUL"),
    ("ingestion", Record(b'\0\0\0\\["u1"', b"", OURS), "NUL"),
    ("ingestion", Record("\U0010ffff".encode() * 1024, b"", OURS), "4096 bytes"),
]
"""What a ledger could not store, and would have been asked to store again and again."""


@pytest.mark.parametrize(("source", "record", "reason"), FOUND)
def test_what_was_found_stays_mended(source: Source, record: Record, reason: str) -> None:
    verdict = verdict_on(source, GROUPS[0], record)
    assert isinstance(verdict, BadEvent)
    assert reason in str(verdict)


@pytest.mark.full
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is for Linux and Python before 3.14 only")
@pytest.mark.parametrize(
    ("target", "runs"), [("notification", 10_000), ("ingestion", 30_000), ("batch", 10_000), ("wire", 10_000)]
)
def test_no_input_breaks_a_decoder(target: str, runs: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.decoders", target, f"-runs={runs}", "-seed=5"]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True, timeout=800)
    assert ended.returncode == 0, f"{ended.stderr[-3000:]}\nfound: {list(tmp_path.iterdir())}"
    seen = json.loads([line for line in ended.stderr.splitlines() if line.startswith("seen: ")][-1][6:])
    assert seen["inputs"] == runs
    kinds = ["Record", "Unreadable"] if target == "wire" else ["Change", "Ignored", "BadEvent"]
    assert min(seen[kind] for kind in kinds) > runs / 1000
