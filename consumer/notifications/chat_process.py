"""Sends a message to chats by apprise: reads an order from standard input, and says what became of it.

python -m consumer.notifications.chat_process
"""

from __future__ import annotations

import json
import sys
from typing import Any

import apprise

from consumer.notifications.chat import Chat, described


def do(order: dict[str, Any]) -> list[Chat]:
    """Send to each chat, or look whether its URL is understood where there is nothing to send."""
    return [_one(url, order) for url in order["urls"]]


def _one(url: str, order: dict[str, Any]) -> Chat:
    scheme = f"{url.partition('://')[0]}://…"
    try:
        chat = apprise.Apprise.instantiate(url)
    except Exception as error:  # noqa: BLE001  (a plugin of theirs; what it says may hold the URL)
        return Chat(scheme, f"is not understood ({type(error).__name__})")
    if chat is None:
        return Chat(scheme, "is no URL that apprise understands")
    try:
        if "title" not in order:
            return Chat(scheme)
        took = chat.notify(title=order["title"], body=order["body"], notify_type=apprise.NotifyType(order["look"]))
    except Exception as error:  # noqa: BLE001
        return Chat(scheme, f"failed ({type(error).__name__})")
    return Chat(scheme, None if took else "did not take the message")


def main() -> int:
    """Do one order; returns the exit code."""
    print(json.dumps(described(do(json.load(sys.stdin)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
