"""Hosts that are ours, and hosts that only pretend to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumer.configuration.http import HttpSettings
from consumer.http.guard import is_ours
from consumer.ledger.ledger import Ledger
from tests.unit.consumer.http.served import serve

SETTINGS = HttpSettings(host="Box.internal", allowed_hosts=("Retrainer.example.com", "retrainer"))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8642",
        "127.0.0.1",
        "10.1.2.3:80",
        "[::1]:8642",
        "[::1]",
        "localhost",
        "localhost:1",
        "localhost.",
        "a.localhost:1",
        "box.internal:8642",
        "retrainer.example.com",
        "retrainer:8642",
    ],
)
def test_addresses_and_allowed_names_are_ours(host: str) -> None:
    assert is_ours(host, SETTINGS)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8642",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "retrainer.example.com.evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1:evil",
        "[::1]evil.example",
        "[::1",
        "",
        ":8642",
        "127.0.0.1, evil.example",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not is_ours(host, SETTINGS)


def test_a_page_whose_name_was_turned_to_this_machine_reads_and_orders_nothing(ledger: Ledger, tmp_path: Path) -> None:
    served = serve(ledger, tmp_path)
    for path in ("/", "/healthz", "/metrics", "/api/v1/status", "/nothing"):
        answer = served.client.get(path, headers={"host": "evil.example:8642"})
        assert answer.status_code == 403, path
        assert "RETRAINER_HTTP__ALLOWED_HOSTS" in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
    answer = served.client.post("/api/v1/orders/pause", json={"reason": "x"}, headers={"host": "evil.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"token": "short"}, "16 characters"),
        ({"token": "with blanks in the middle"}, "letters, digits"),
        ({"token": "ümläut-ümläut-ümläut"}, "letters, digits"),
        ({"allowed_hosts": "https://a.example"}, "without scheme"),
        ({"allowed_hosts": "a.example:80"}, "without scheme"),
        ({"allowed_hosts": "*"}, "without scheme"),
        ({"port": 65536}, "less than or equal"),
        ({"port": -1}, "greater than or equal"),
        ({"host": ""}, "at least 1"),
    ],
)
def test_settings_of_which_nothing_good_can_come_are_refused(given: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        HttpSettings.model_validate(given)


def test_allowed_hosts_are_listed_with_commas() -> None:
    assert HttpSettings.model_validate({"allowed_hosts": "A.example, b"}).allowed_hosts == ("a.example", "b")
