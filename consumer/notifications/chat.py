"""Chats, mail and others, by URLs of apprise. A process of its own sends: apprise takes more memory than all else here.

The URLs hold secrets, so they go to the process by its standard input, and only what apprise shows of them comes back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from consumer.environment import for_child
from consumer.ledger.watching.notifications import Channel
from consumer.sending.ports import NotSent
from schemas.watching.notifications import Notification, Phase

_WITHIN = 90.0  # seconds for all chats; apprise gives each up sooner
_ENOUGH_TRIES = 5
"""After so many tries a message that some chats have does not wait for the others any more."""
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")
_LOOK: dict[Phase, str] = {Phase.BEGINS: "failure", Phase.LASTS: "warning", Phase.OVER: "success"}


@dataclass(frozen=True, slots=True)
class Chat:
    """What became of a message in one chat."""

    shown: str
    """Where it leads, as apprise shows it."""
    error: str | None = None
    """Why it did not take the message; None where it has it."""


Ask = Callable[[dict[str, Any]], list[Chat]]


def ask_apprise(order: dict[str, Any]) -> list[Chat]:
    """Have a process do an order: `urls`, and what to send, or nothing to look whether apprise understands the URLs.

    Raises:
        NotSent: the process did not answer.
    """
    environment = for_child(os.environ, also=[*_PROXIES, *(name.lower() for name in _PROXIES)])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "consumer.notifications.chat_process"],
            input=json.dumps(order),
            env=environment,
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            check=True,
        )
        return [Chat(**one) for one in json.loads(done.stdout)]
    except subprocess.TimeoutExpired:
        raise NotSent(f"chat: no answer within {_WITHIN:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise NotSent(f"chat: the process that sends ended with code {error.returncode}") from None
    except (OSError, ValueError, TypeError) as error:
        raise NotSent(f"chat: {type(error).__name__}") from None


class ChatSender:
    """Sends messages to chats. One that fails does not keep messages from the others.

    Args:
        urls: of apprise.
        ask: does an order; see `ask_apprise`.
    """

    channel = Channel.CHAT

    def __init__(self, urls: Sequence[str], ask: Ask = ask_apprise) -> None:
        self._urls = tuple(urls)
        self._ask = ask
        self._message: str | None = None
        self._have: set[int] = set()
        self._tries = 0
        self._failing: set[int] = set()

    @property
    def shown(self) -> str:
        """See `Sender`."""
        return ", ".join(f"{url.partition('://')[0]}://…" for url in self._urls)

    def send(self, message: Notification) -> str | None:
        """See `Sender`. A chat that has the message does not get it again, however often this is tried."""
        if message.id != self._message:
            self._message, self._have, self._tries = message.id, set(), 0
        wanted = [number for number in range(len(self._urls)) if number not in self._have]
        sending = {"title": message.subject, "body": message.text, "look": _LOOK.get(message.phase, "info")}
        found = self._ask({"urls": [self._urls[number] for number in wanted], **sending})
        if len(found) != len(wanted):
            raise NotSent("chat: the process that sends did not answer for every chat")
        self._tries += 1
        errors = dict(zip(wanted, found, strict=True))
        lacking = {number: f"{one.shown}: {one.error}" for number, one in errors.items() if one.error is not None}
        self._have |= errors.keys() - lacking.keys()
        if not lacking:
            self._failing.clear()
            return None
        told = "; ".join(lacking.values())
        if not self._have or (self._tries < _ENOUGH_TRIES and not lacking.keys() <= self._failing):
            raise NotSent(told)
        self._failing = set(lacking)
        return told


def described(chats: Sequence[Chat]) -> list[dict[str, Any]]:
    """As the process says it."""
    return [asdict(chat) for chat in chats]
