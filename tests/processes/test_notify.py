"""`retrainer notify`, the doctor and the status of notifications, with real receivers and the real apprise."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumer.ledger.ledger import open_ledger
from consumer.ledger.watching.alerts import OnRecord
from consumer.ledger.watching.notifications import Channel
from consumer.notifications.chat import ask_apprise
from consumer.settings import load_settings
from retrainer.cli.status_check import problems
from retrainer.doctor.checks import Finding, Severity
from retrainer.doctor.context import CheckContext
from retrainer.doctor.notifications import notification_checks
from schemas.watching.notifications import Notification, Phase
from tests.commands import call
from tests.unit.consumer.sending.receiver import Receiver, receiving
from tests.unit.retrainer.cli.test_status_rows import QUIET

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
N = "RETRAINER_NOTIFICATIONS__"


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    with receiving() as opened:
        yield opened


@pytest.fixture
def hooked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    monkeypatch.setenv(f"{N}WEBHOOK", receiver.url)
    monkeypatch.setenv(f"{N}WEBHOOK_SECRET", SECRET)
    return receiver


def as_chat(receiver: Receiver) -> str:
    """The receiver by a URL of apprise."""
    return receiver.url.replace("http://", "json://")


def look() -> Finding:
    (check,) = notification_checks(CheckContext(load_settings()))
    return check.look()


def test_without_a_channel_the_command_says_how_to_set_one(receiver: Receiver) -> None:
    called = call("notify")
    assert (called.code, called.out) == (1, "")
    assert f"{N}WEBHOOK" in called.err
    assert notification_checks(CheckContext(load_settings())) == []


def test_a_test_message_needs_no_service_and_no_ledger(hooked: Receiver) -> None:
    called = call("notify", "--test")
    assert called.code == 0, called.err
    assert called.out.startswith("webhook: http://localhost:")
    assert called.out.endswith("/… took the message\n")
    (told,) = [json.loads(body) for _, body in hooked.came]
    assert (told["kind"], told["phase"]) == ("test", "test")
    hooked.will(500)
    called = call("notify", "--test", "--json")
    assert called.code == 1
    assert "answered 500" in json.loads(called.out)["channels"]["webhook"]["error"]
    assert "very-secret" not in called.out


def test_status_doctor_and_command_say_what_waits_and_why(hooked: Receiver, tmp_path: Path) -> None:
    message = Notification(
        id="m1",
        kind="held",
        phase=Phase.BEGINS,
        subject="a cycle is held",
        instance="here",
        ledger_id="l",
        at=datetime.fromtimestamp(0, UTC),
    )
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        with ledger.notifications.writing(1.0, [Channel.WEBHOOK]) as writing:
            writing.begin(OnRecord("held", 1.0, 1.0, "a cycle is held"), message)
        (waiting,) = ledger.notifications.waiting(Channel.WEBHOOK)
        ledger.notifications.refused(waiting.number, "https://x/… answered 500")
    assert "1 waiting; https://x/… answered 500" in call("notify").out
    assert "since 1970-01-01 00:00: a cycle is held" in call("notify").out
    found: dict[str, Any] = json.loads(call("status", "--json").out)["notifications"]
    assert found["channels"] == {"webhook": {"waiting": 1, "trouble": "https://x/… answered 500"}}
    assert [one["name"] for one in found["alerts"]] == ["held"]
    assert "webhook: 1 waits; https://x/… answered 500" in call("status").out
    told = problems({**QUIET, "state_dir": "/s", "unable": None, "notifications": found})
    assert told == ["notifications do not get through by webhook: https://x/… answered 500"]
    assert look().severity is Severity.WARNING
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        ledger.notifications.sent(Channel.WEBHOOK, waiting.number)
    assert look().severity is Severity.OK
    assert hooked.came == []  # the doctor sends nothing


def test_the_doctor_names_a_receiver_that_is_not_there(hooked: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{N}HEARTBEAT", "http://localhost:9/ping/very-secret")
    found = look()
    assert found.severity is Severity.FAILED
    assert found.found.startswith("http://localhost:9/…: ")


@pytest.mark.full
def test_apprise_brings_a_message_to_each_chat_and_says_who_did_not_take_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with receiving() as other:
        (tmp_path / "chat").write_text(f"{as_chat(receiver)}\n{as_chat(other)}\n")
        monkeypatch.setenv(f"{N}CHAT_FILE", str(tmp_path / "chat"))
        called = call("notify", "--test")
        assert (called.code, called.out) == (0, "chat: json://…, json://… took the message\n")
        (first,), (second,) = ([json.loads(body) for _, body in one.came] for one in (receiver, other))
        assert first == second
        assert first["title"] == "A test: messages of Retrainer arrive here"
        assert "Told by " in first["message"]
        other.will(500)
        called = call("notify", "--test")
        assert called.code == 1
        assert called.out == "chat: json://…: did not take the message\n"
        assert len(receiver.came) == 2
    assert look().severity is Severity.OK  # the form is right; nothing is sent
    assert len(receiver.came) == 2
    monkeypatch.setenv(f"{N}CHAT_FILE", "")
    monkeypatch.setenv(f"{N}CHAT", "nothing-of-that-kind://very-secret")
    found = look()
    assert (found.severity, found.found) == (
        Severity.FAILED,
        "nothing-of-that-kind://… is no URL that apprise understands",
    )


@pytest.mark.full
def test_the_process_that_sends_gets_the_urls_neither_by_arguments_nor_by_the_environment(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[Any, Any]] = []
    run = subprocess.run

    def spied(arguments: Any, **more: Any) -> Any:
        started.append((arguments, more["env"]))
        return run(arguments, **more)

    monkeypatch.setenv(f"{N}CHAT", as_chat(receiver))
    monkeypatch.setattr(subprocess, "run", spied)
    assert [one.error for one in ask_apprise({"urls": [as_chat(receiver)]})] == [None]
    assert "very-secret" not in str(started)
