"""The states of the listener are words that people read: the docs name each, and the status file holds them as text."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from consumer.listener.state import ListenerState
from consumer.listener.status import ListenerStatus

DOCS = Path(__file__).parents[4] / "docs" / "kafka.md"


@pytest.mark.parametrize("state", ListenerState)
def test_the_docs_say_what_each_state_means(state: ListenerState) -> None:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert any(f"`{state}`" in row.split("|")[1] for row in rows), f"docs/kafka.md has no row for {state}"


def test_a_state_is_text_in_json() -> None:
    written = json.loads(json.dumps(asdict(ListenerStatus(ListenerState.BROKER_AWAY))))
    assert written["state"] == "broker away"


def test_only_a_listener_that_reads_or_waits_on_purpose_is_able() -> None:
    assert ListenerStatus(ListenerState.LISTENING).unable is None
    assert ListenerStatus(ListenerState.STANDING_BY).unable is None
    held = ListenerState.TOO_MANY_DEAD_LETTERS
    assert ListenerStatus(held, held=held).unable is None
    assert ListenerStatus(ListenerState.POLL_FAILS, why="an ACL").unable == "poll fails: an ACL"
    assert ListenerStatus(ListenerState.JOINING).unable == "joining"
