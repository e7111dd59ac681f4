"""Webhook and chat as receivers see them: signed, each message once, and no secret in any word of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from consumer.configuration.notifications import NotificationSettings
from consumer.configuration.webhook import keys_of
from consumer.errors import SettingsError
from consumer.notifications.channels import WebhookSender, channels_of, senders
from consumer.notifications.chat import Chat, ChatSender
from consumer.notifications.heartbeat import Heartbeat
from consumer.sending.ports import Gone, NotSent
from consumer.settings import load_settings
from schemas.watching.notifications import KINDS, Phase
from tests.unit.consumer.notifications.made import SECRET, message
from tests.unit.consumer.sending.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def webhook(receiver: Receiver, timeout: float = 15.0) -> WebhookSender:
    return WebhookSender(receiver.url, keys_of(SecretStr(SECRET)), timeout=timeout)


def test_a_receiver_verifies_the_message_with_the_library(receiver: Receiver) -> None:
    told = message()
    assert webhook(receiver).send(told) is None
    ((headers, body),) = receiver.came
    low = {name.lower(): text for name, text in headers.items()}
    assert Webhook(SECRET).verify(body, low) == json.loads(body) == told.model_dump(mode="json")
    assert low["webhook-id"] == told.id


@pytest.mark.parametrize("code", [302, 307, 404, 429, 500])
def test_anything_but_a_receipt_is_a_failure_and_no_redirect_is_followed(receiver: Receiver, code: int) -> None:
    receiver.will(code, Location=receiver.url, Retry_After="7")
    with pytest.raises(NotSent, match=str(code)) as caught:
        webhook(receiver).send(message())
    assert caught.value.asked == 7.0
    assert len(receiver.came) == 1
    assert "very-secret" not in str(caught.value)


def test_gone_is_told_apart_and_silence_is_a_failure(receiver: Receiver) -> None:
    receiver.will(410)
    with pytest.raises(Gone):
        webhook(receiver).send(message())
    receiver.answering.clear()
    with pytest.raises(NotSent, match="timed out"):
        webhook(receiver, timeout=0.2).send(message())


class Apprise:
    """Chats that take messages unless told otherwise."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.took: list[tuple[str, str]] = []
        self.asked = 0

    def __call__(self, order: dict[str, Any]) -> list[Chat]:
        self.asked += 1
        return [self._one(url, order) for url in order["urls"]]

    def _one(self, url: str, order: dict[str, Any]) -> Chat:
        if url in self.down:
            return Chat("x://…", "did not take the message")
        self.took.append((url, order["title"]))
        return Chat("x://…")


def carried(chat: ChatSender, *names: str, tries: int = 20) -> list[int]:
    """Send each message until it is taken, as a courier does; gives how many tries each has needed."""
    return [next(at for at in range(1, tries) if _is_sent(chat, name)) for name in names]


def _is_sent(chat: ChatSender, name: str) -> bool:
    try:
        chat.send(message(name))
    except NotSent:
        return False
    return True


def test_a_chat_that_fails_neither_gets_others_the_message_twice_nor_holds_them_up_for_ever() -> None:
    apprise = Apprise()
    chat = ChatSender(["x://a", "x://b", "x://c"], apprise)
    apprise.down = {"x://b"}
    assert carried(chat, "m1", "m2", "m3") == [5, 1, 1]
    assert sorted(url for url, title in apprise.took if title == "about m1") == ["x://a", "x://c"]
    apprise.down = set()
    assert carried(chat, "m4") == [1]
    assert [url for url, title in apprise.took if title == "about m4"] == ["x://a", "x://b", "x://c"]
    apprise.down = {"x://c"}
    assert carried(chat, "m5") == [5]  # it is another one now


def test_a_message_that_nobody_took_waits() -> None:
    apprise = Apprise()
    apprise.down = {"x://a", "x://b"}
    chat = ChatSender(["x://a", "x://b"], apprise)
    assert not any(_is_sent(chat, "m1") for _ in range(50))
    apprise.down = set()
    assert _is_sent(chat, "m1")
    assert len(apprise.took) == 2


def test_a_process_that_answers_for_too_few_is_no_receipt() -> None:
    def short(order: dict[str, Any]) -> Sequence[Any]:
        return []

    with pytest.raises(NotSent):
        ChatSender(["x://a"], short).send(message())  # type: ignore[arg-type]


def test_a_person_reads_subject_way_out_page_and_who_tells() -> None:
    told = message(details="Cycle c1.", link="https://page.example.com/", phase=Phase.LASTS)
    assert told.text == "Cycle c1.\nTo do: look\nPage: https://page.example.com/\nTold by here, ledger l"


def test_the_heartbeat_stops_while_something_is_wrong_and_does_not_mind_a_receiver_that_is_away(
    receiver: Receiver,
) -> None:
    well = [True]
    heart = Heartbeat(receiver.url, lambda: well[0])
    assert heart.turn() == 60.0
    well[0] = False
    assert heart.turn() < 60.0
    assert len(receiver.came) == 1
    well[0] = True
    receiver.will(500, 200)
    assert [heart.turn(), heart.turn()] == [60.0, 60.0]
    assert len(receiver.came) == 3


N = "RETRAINER_NOTIFICATIONS__"


def test_by_default_nobody_is_told_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_settings().notifications
    assert (found.wanted, senders(found), channels_of(found)) == (False, [], [])
    assert found.events == KINDS
    monkeypatch.setenv(f"{N}CHAT", "  ")
    assert load_settings().notifications.wanted is False


def test_secrets_come_from_files_and_are_not_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "chat").write_text("ntfy://word@host/topic\nmailto://me:word@example.com?to=a,b\n")
    monkeypatch.setenv(f"{N}WEBHOOK", "https://example.com/hooks/word")
    monkeypatch.setenv(f"{N}WEBHOOK_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv(f"{N}CHAT_FILE", str(tmp_path / "chat"))
    monkeypatch.setenv(f"{N}EVENTS", "held, stalled")
    found = load_settings().notifications
    assert [way.shown for way in senders(found)] == ["https://example.com/…", "ntfy://…, mailto://…"]
    assert found.events == ("held", "stalled")
    assert "word" not in repr(found)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"WEBHOOK": "http://example.com/x"}, "must be an https"),
        ({"WEBHOOK": "https://example.com/x"}, f"{N}WEBHOOK_SECRET_FILE"),
        ({"CHAT": "nothing-like-it s3cret"}, "number 1 is no URL of apprise"),
        ({"EVENTS": "helt"}, "there is no kind helt; there are promotion, refusal, held"),
        ({"LINK": "example.com"}, "http:// or https://"),
        ({"HEARTBEAT": "http://example.com/ping/s3cret"}, "must be an https"),
        ({"DEAD_LETTERS": "0"}, f"{N}DEAD_LETTERS"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    named: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in named.items():
        monkeypatch.setenv(f"{N}{name}", text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_missing_extra_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.configuration.notifications.find_spec", lambda _: None)
    assert NotificationSettings(chat=None).chat is None
    monkeypatch.setenv(f"{N}CHAT", "ntfy://topic")
    with pytest.raises(SettingsError, match=r"pip install 'retrainer\[chat\]'"):
        load_settings()
