"""The commands of docs/api.md work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from consumer.http.openapi import document
from consumer.http.orders import ORDERS
from consumer.ledger.ledger import Ledger
from tests.unit.consumer.http.served import TOKEN, serve

PAGE = Path(__file__).parents[4] / "docs" / "api.md"
CONTINUED = re.compile(r"\\\n")


def test_every_curl_of_the_page_is_answered(ledger: Ledger, tmp_path: Path) -> None:
    served = serve(ledger, tmp_path)
    commands = re.findall(r"^    curl ((?:.*\\\n)*.*)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 7
    for command in commands:
        url, headers, body = "", {}, None
        words = iter(shlex.split(CONTINUED.sub(" ", command).replace("$(cat token)", TOKEN)))
        for word in words:
            if word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            elif word == "-d":
                body = next(words)
            else:
                url = word
        answer = served.client.request("GET" if body is None else "POST", url, headers=headers, content=body)
        assert answer.status_code in {200, 202}, (command, answer.text)


def test_the_page_names_every_address() -> None:
    text = PAGE.read_text()
    missing = [path for path in document()["paths"] if "/orders/" not in path and f"`{path}" not in text]
    assert missing + [name for name in ORDERS if f"`{name}`" not in text] == []
