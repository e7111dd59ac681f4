"""What the ingest rows of `make bench` stand on: what was read and kept is what the topic has, or there is no row."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ingest import quix_venv
from benchmarks.ingest.rate import check
from benchmarks.rows import NotMeasured, ResultsDifferError

EVENTS = Counter({"u1": 2, "u2": 1})
ENDS = {"0": 2, "1": 1}
KEPT = "u1\t2\tt[0]@0\tt[0]@1\nu2\t1\tt[1]@0\tt[1]@0\n"


def checked(folder: Path, kept: str = KEPT, read: dict[str, int] | None = None, side: str = "ours") -> None:
    (folder / "kept.tsv").write_text(kept)
    check(side, ENDS if read is None else read, ENDS, folder / "kept.tsv", EVENTS)


def test_what_is_kept_of_every_user_is_what_was_sent(tmp_path: Path) -> None:
    checked(tmp_path)
    checked(tmp_path, kept="", side="bare")


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (KEPT.replace("u1\t2", "u1\t1"), "kept 2 users, the topic has 2; 1 differ"),
        (KEPT.splitlines()[0], "kept 1 users, the topic has 2; 1 differ"),
        (KEPT + "u3\t1\tt[1]@1\tt[1]@1\n", "kept 3 users"),
    ],
)
@pytest.mark.parametrize("side", ["ours", "exactly-once"])
def test_a_lost_event_or_one_too_many_is_no_row(tmp_path: Path, kept: str, said: str, side: str) -> None:
    with pytest.raises(ResultsDifferError, match=said):
        checked(tmp_path, kept, side=side)


@pytest.mark.parametrize("side", ["ours", "bare"])
def test_a_side_that_did_not_read_to_the_end_is_no_row(tmp_path: Path, side: str) -> None:
    with pytest.raises(ResultsDifferError, match=r"read up to .*'1': 0.*, the topic ends at"):
        checked(tmp_path, read={"0": 2, "1": 0}, side=side)


def test_quix_streams_that_cannot_be_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        (tmp_path / ".venv-quix").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, int("pip" in command), "", "looked\nno network\n")

    monkeypatch.setattr("benchmarks.ingest.quix_venv.subprocess.run", refused)
    with pytest.raises(NotMeasured, match=r"\.venv-quix cannot be made from requirements/quix.txt: no network"):
        quix_venv.quix_python(tmp_path / ".venv-quix")
    assert not (tmp_path / ".venv-quix" / ".ready").exists()
