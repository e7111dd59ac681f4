"""A password of the ledger goes to nobody who cannot show who he is, and into nothing that is printed."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from consumer.database.address import refusal, secured, shown, weakness
from consumer.errors import LedgerError
from consumer.ledger.ledger import open_ledger

SECRET = "TOP-SECRET"  # noqa: S105


def told(url: str, **environment: str) -> dict[str, str]:
    return secured(make_url(f"postgresql://{url}"), environment)


@pytest.mark.parametrize(
    "url",
    [
        "r:pw@db.example/r",
        "r:pw@10.0.0.5/r",
        "r:pw@0.0.0.0/r",
        "r:pw@/r?host=db.example",
        "r:pw@/r?host=localhost:5432&host=db.example:5432",
        "r:pw@/r?host=localhost,db.example",
        "r:pw@localhost/r?hostaddr=10.0.0.5",
        "r:pw@localhost/r?host=db.example",
        "r:pw@/r?service=production",
    ],
)
def test_a_server_off_this_machine_has_to_show_a_certificate(url: str) -> None:
    assert told(url)["sslmode"] == "verify-full"


@pytest.mark.parametrize(
    "url",
    [
        "r:pw@localhost/r",
        "r:pw@127.0.0.1:5433/r",
        "r:pw@[::1]/r",
        "r@/r",
        "r@/r?host=/run/postgresql",
        "r@/r?host=@abstract",
        "r:pw@db.example/r?hostaddr=127.0.0.1",
        "r:pw@/r?host=localhost:1&host=127.0.0.1:2",
    ],
)
def test_on_this_machine_no_certificate_is_asked_for_but_no_password_goes_in_clear(url: str) -> None:
    assert told(url) == {"require_auth": "!password"}


def test_what_is_said_in_so_many_words_holds_and_a_password_is_still_no_strangers() -> None:
    assert told("r:pw@db.example/r?sslmode=require") == {"require_auth": "!password,!md5"}
    assert told("r:pw@db.example/r", PGSSLMODE="disable") == {"require_auth": "!password,!md5"}
    assert told("r:pw@db.example/r?sslmode=verify-full") == {}
    assert told("r:pw@db.example/r?sslmode=prefer&require_auth=password") == {}
    assert told("r:pw@db.example/r?sslmode=prefer", PGREQUIREAUTH="md5") == {}


def test_the_environment_names_the_server_too() -> None:
    assert told("r@/r", PGHOST="db.example") == {"sslmode": "verify-full"}
    assert told("r@localhost/r", PGHOST="db.example") == {"require_auth": "!password"}
    assert told("r@localhost/r", PGHOSTADDR="10.0.0.5") == {"sslmode": "verify-full"}
    assert told("r@/r", PGSERVICE="production") == {"sslmode": "verify-full"}


def test_a_weak_connection_is_told_and_a_strong_one_is_not() -> None:
    assert weakness("sqlite:///ledger.db", {}) is None
    assert weakness("postgresql://r@localhost/r?sslmode=disable", {}) is None
    assert weakness("postgresql://r@db.example/r", {}) is None
    for mode in ("disable", "allow", "prefer", "require", "verify-ca"):
        said = weakness(f"postgresql://r@db.example/r?sslmode={mode}", {})
        assert said is not None
        assert f"sslmode={mode}" in said
        assert "verify-full" in said
    assert weakness("postgresql://r@db.example/r", {"PGSSLMODE": "prefer"}) is not None


@contextmanager
def greedy(host: str) -> Iterator[tuple[int, list[bytes]]]:
    """A server without TLS that asks whoever comes for his password in clear, and what it was told."""
    with socket.create_server((host, 0)) as server:
        heard: list[bytes] = []

        def body(client: socket.socket) -> bytes:
            length = client.recv(4)
            return client.recv(struct.unpack(">i", length)[0] - 4) if len(length) == 4 else b""

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    start = body(client)
                    if start[:4] == struct.pack(">i", 80877103):  # SSLRequest
                        client.sendall(b"N")
                        start = body(client)
                    if start:
                        client.sendall(b"R" + struct.pack(">ii", 8, 3))  # AuthenticationCleartextPassword
                        heard.append(client.recv(1) + body(client))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  (the second is this machine, by a name that is not)
@pytest.mark.parametrize("query", ["", "?sslmode=prefer", "?sslmode=disable"])
def test_whoever_answers_does_not_get_the_password(host: str, query: str) -> None:
    with greedy(host) as (port, heard):
        with pytest.raises(LedgerError) as refused:
            open_ledger(f"postgresql://retrainer:{SECRET}@{host}:{port}/r{query}")
        assert not any(SECRET.encode() in said for said in heard)
    assert SECRET not in str(refused.value)
    assert "RETRAINER_LEDGER__URL" in str(refused.value)


def test_secrets_of_an_address_are_not_shown() -> None:
    address = f"postgresql://r:{SECRET}@db/r?sslkey=/k.pem&sslpassword={SECRET}&oauth_client_secret={SECRET}"
    assert SECRET not in shown(address)
    assert "sslpassword=***" in shown(address)
    assert "k.pem" in shown(address)
    with pytest.raises(LedgerError) as refused:
        open_ledger(address.replace("@db", "@127.0.0.1:1"))
    assert SECRET not in str(refused.value)


def test_an_error_that_quotes_a_secret_is_told_without_it() -> None:
    url = f"postgresql://r:{SECRET}@db/r?options=-cx.y={SECRET}2"
    assert refusal(url, f"bad option -cx.y={SECRET}2, bad word {SECRET}") == "bad option ***, bad word ***"


@given(st.text(min_size=1, max_size=12), st.text(st.characters(codec="ascii"), min_size=8, max_size=20))
def test_no_parameter_that_is_not_known_as_harmless_is_shown(name: str, value: str) -> None:
    url = make_url("postgresql://r@db/r").update_query_dict({f"x{name}": value})
    shown_in = shown(url.render_as_string(hide_password=False))
    assert shown_in.endswith("=***")
    assert shown_in.count("=") == 1


def test_a_path_is_shown_as_it_is() -> None:
    assert shown("sqlite:////data/a#b@c:d/ledger.db") == "sqlite:////data/a#b@c:d/ledger.db"
