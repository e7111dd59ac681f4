"""`retrainer dead-letters`: what operators see and do; and nothing in a record can steer their terminal."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from consumer.configuration.kafka import KafkaSettings
from consumer.dead_letters.letter import DeadLetter, Headers
from consumer.dead_letters.publisher import Publisher
from consumer.dead_letters.render import hexdump, readable, when
from consumer.errors import LedgerError, SettingsError
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.state import ListenerState
from consumer.plain import plain
from consumer.positions import Partition, Position
from consumer.settings import load_settings
from retrainer.cli.dead_letters import dead_letters
from retrainer.cli.status import status

P0 = Partition("t", 0)
GOOD = b'{"entry": {"user_id": "u1"}}'
ESCAPE = "\x1b]0;owned\x07"


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ledger]:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    opened.intake.start_at({P0: 0}, 0.0)
    yield opened
    opened.close()


def store(
    ledger: Ledger,
    value: bytes | None,
    stage: str = "decode",
    reason: str = "no [bold]JSON",
    headers: Headers = (),
    key: bytes | None = None,
) -> int:
    """A dead letter in the ledger; its number."""
    at = ledger.intake.positions("t")[P0]
    letter = DeadLetter(Position("t", 0, at), 50.0, key, value, headers, stage, reason)
    ledger.intake.record(Batch(received_at=100.0, progress={P0: (at, at + 1)}, dead=[letter]))
    return at + 1


def call(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(dead_letters, list(arguments), input=answer)


def out(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_open_letters_are_listed_and_counted(ledger: Ledger) -> None:
    assert out("list") == "no open dead letters\n"
    store(ledger, b"{", reason=f"{ESCAPE}[/bold] odd")
    store(ledger, None, "gap", "gone")
    call("discard", "2", "--reason", "known")
    listed = out("list")
    assert "t[0]@0" in listed
    assert "\\x1b]0;owned\\x07[/bold] odd" in listed
    assert "gone" not in listed
    assert listed.splitlines()[-1] == "1 open of stage decode"
    assert "1 discarded of stage gap, 1 open of stage decode; the newest 1 are shown" in out(
        "list", "--status", "all", "--limit", "1"
    )
    assert [row["id"] for row in json.loads(out("list", "--status", "all", "--json"))] == [2, 1]
    assert json.loads(out("list", "--stage", "gap", "--json")) == []
    assert json.loads(out("list", "--reason", "ODD", "--topic", "t", "--since", "1970-01-01", "--json")) != []
    assert json.loads(out("list", "--since", "2026-01-01", "--json")) == []


def test_a_letter_is_shown_whole(ledger: Ledger) -> None:
    headers = (("h", b"one"), ("h", None), (ESCAPE, b"\xff"))
    number = store(ledger, f'{{"a": "{ESCAPE}"}}\nsecond'.encode(), headers=headers, key=b"\x00\xfe" * 10)
    shown = out("show", str(number)).splitlines()
    assert "\x1b" not in "".join(shown)
    assert shown[:2] == ["letter    1", "position  t[0]@0"]
    assert shown[shown.index("header    h, 3 bytes") + 1] == "    one"
    assert shown[shown.index("header    h") + 1] == "    none"
    at = shown.index("key, 20 bytes")
    assert shown[at + 1] == "    00000000  00 fe 00 fe 00 fe 00 fe  00 fe 00 fe 00 fe 00 fe  |................|"
    assert shown[at + 2].startswith("    00000010  00 fe 00 fe  ")
    assert shown[-2:] == ['    {"a": "\\x1b]0;owned\\x07"}', "    second"]
    found = json.loads(out("show", str(number), "--json"))
    assert found["headers"] == [["h", "b25l"], ["h", None], [ESCAPE, "/w=="]]
    assert base64.b64decode(found["key_base64"]) == b"\x00\xfe" * 10


def test_the_value_alone_comes_byte_for_byte(ledger: Ledger) -> None:
    value = bytes(range(256))
    assert call("show", str(store(ledger, value)), "--raw").stdout_bytes == value
    nothing = call("show", str(store(ledger, None)), "--raw")
    assert isinstance(nothing.exception, LedgerError)
    assert isinstance(call("show", "99").exception, LedgerError)


def test_null_empty_and_gone_are_told_apart(ledger: Ledger) -> None:
    assert out("show", str(store(ledger, None, key=b""))).splitlines()[-4:] == [
        "key, 0 bytes",
        "    empty",
        "value",
        "    none",
    ]
    gap = store(ledger, None, "gap")
    assert out("show", str(gap)).splitlines()[-1] == "it holds no record"
    gone = store(ledger, b"x")
    out("discard", str(gone), "--reason", "known")
    assert out("show", str(gone)).splitlines()[-1] == "its bytes are gone"


def test_what_is_understood_now_is_pending_while_the_rest_is_told(ledger: Ledger) -> None:
    good, bad, gap = store(ledger, GOOD), store(ledger, b"{"), store(ledger, None, "gap", "lost")
    dry = out("replay", "--all", "--dry-run")
    assert "1 understood and pending, 0 of other groups, 1 stay open, 1 without a record; nothing was changed" in dry
    assert ledger.views.backlog().users == 0
    told = out("replay", "--all")
    assert f"{bad} stays open: Invalid JSON" in told
    assert f"{gap} holds no record: lost" in told
    assert "retrainer train --full" in told
    assert "nothing was changed" not in told
    again = call("replay", str(good))
    assert (again.exit_code, "1 settled before" in again.output) == (0, True)
    assert call("replay", str(bad)).exit_code == 1
    assert call("replay", str(gap)).exit_code == 1
    assert call("replay", "99").exit_code == 1
    assert ledger.views.backlog().users == 1


def test_letters_are_replayed_by_filters(ledger: Ledger) -> None:
    store(ledger, GOOD, reason="old code")
    store(ledger, GOOD, reason="another")
    assert "1 understood" in out("replay", "--all", "--with-reason", "old")
    assert ledger.views.read().open_letters == 1


def test_a_discard_needs_a_reason_and_for_all_a_yes(ledger: Ledger) -> None:
    number = store(ledger, b"{")
    assert call("discard", str(number)).exit_code == 2
    assert call("discard", str(number), "--reason", " ").exit_code == 2
    assert call("discard", "--all", "--reason", "test").exit_code == 1
    assert call("discard", "--all", "--reason", "test", answer="n\n").exit_code == 1
    assert ledger.views.read().open_letters == 1
    assert call("discard", "--all", "--reason", "test", "--stage", "gap", "--yes").output == "0 discarded\n"
    assert "1 discarded" in call("discard", "--all", "--reason", "test", answer="y\n").output
    found = json.loads(out("show", str(number), "--json"))
    assert (found["status"], found["settled_reason"]) == ("discarded", "test")
    assert call("discard", str(number), "--reason", "again").exit_code == 1


def test_the_room_of_replayed_letters_is_given_back(ledger: Ledger) -> None:
    good, bad = store(ledger, GOOD), store(ledger, b"{")
    out("replay", "--all")
    assert call("discard", str(bad), "--replayed", "--reason", "room").exit_code == 1
    told = call("discard", "--all", "--replayed", "--reason", "room", answer="y\n")
    assert "Discard 1 replayed letters for good?" in told.output
    assert out("show", str(good)).splitlines()[-1] == "its bytes are gone"
    assert (ledger.views.read().open_letters, ledger.views.backlog().users) == (1, 1)


@pytest.mark.parametrize("arguments", [(), ("1", "--all"), ("1", "--stage", "gap")])
@pytest.mark.parametrize("command", [("replay",), ("discard", "--reason", "x")])
def test_letters_are_named_or_all_are_meant(
    ledger: Ledger, command: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    store(ledger, GOOD)
    assert call(*command, *arguments).exit_code == 2
    assert ledger.views.read().open_letters == 1


def test_any_time_and_any_text_can_be_shown() -> None:
    assert when(0.0) == "1970-01-01T00:00:00+00:00"
    assert when(9e15) == "9000000000000000 s since 1970"
    assert plain("é\n\t\x9b\u202e\ud800") == "é\n\t\\x9b\\u202e\\ud800"
    assert readable(b"a\nb") == ["a", "b"]
    assert list(hexdump(b"0123456789abcdef0")) == [
        "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "00000010  30                                                |0|",
    ]


def test_a_service_does_not_listen_to_its_own_dead_letters(monkeypatch: pytest.MonkeyPatch, ledger: Ledger) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__TOPIC", "same")
    monkeypatch.setenv("RETRAINER_DEAD_LETTERS__TOPIC", "same")
    with pytest.raises(SettingsError, match="both same"):
        load_settings()
    with pytest.raises(SettingsError, match="RETRAINER_DEAD_LETTERS__TOPIC"):
        Publisher(KafkaSettings(topic="same"), "same", ledger.letters)


def test_status_says_what_to_do_about_a_flood(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import time

    from consumer.status import Status, write_status

    store(ledger, b"{")
    now = time.time()
    write_status(tmp_path / "status.json", Status(1, ListenerState.TOO_MANY_DEAD_LETTERS, now, now, None, None, None))
    status()
    shown = capsys.readouterr().out
    assert "1 dead letters (1 open)" in shown
    assert ListenerState.TOO_MANY_DEAD_LETTERS in shown
    assert "dead-letters replay" in shown
