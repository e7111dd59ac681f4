"""Attempts outlive the process that saw them, and nothing depends on them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumer.cycles.attempts import Attempts
from schemas.cycle import Attempt


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_attempts_are_told_in_order_also_by_the_process_that_follows(tmp_path: Path) -> None:
    seen = Attempts(tmp_path / "c1")
    assert seen.told() == ()
    seen.began(10.0)
    seen.ended(12.0, "it fell")
    seen.ended(13.0)  # settled later, and known already
    seen.began(20.0)
    following = Attempts(tmp_path / "c1")  # the process died here
    following.ended(99.0)  # nobody saw that end
    following.began(30.0)
    following.ended(31.0)
    assert following.told() == (
        Attempt(began=at(10), ended=at(12), error="it fell"),
        Attempt(began=at(20)),
        Attempt(began=at(30), ended=at(31)),
    )
    assert (tmp_path / "c1" / "attempts.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("left", [b"", b"[{", b'[{"began": "yesterday"}]', b'{"a": 1}'])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "attempts.json").write_bytes(left)
    attempts = Attempts(tmp_path)
    assert attempts.told() == ()
    attempts.began(1.0)
    assert Attempts(tmp_path).told() == (Attempt(began=at(1)),)


def test_a_disk_that_takes_nothing_changes_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "c1").write_text("a file where the folder should be")
    attempts = Attempts(tmp_path / "c1")
    attempts.began(1.0)
    attempts.ended(2.0)
    assert attempts.told() == (Attempt(began=at(1), ended=at(2)),)
