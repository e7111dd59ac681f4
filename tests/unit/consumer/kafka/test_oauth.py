"""Tokens: kept, renewed in time, asked for as RFC 6749 has it; and what an endpoint may do wrong."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import pytest
from kafka.errors import KafkaConnectionError
from pydantic import SecretStr

from consumer.kafka.oauth import CachedToken, Grant, TokenError, client_credentials

SECRET = SecretStr("p@ss word/+=")
GOOD = {"access_token": "abc.DEF-1", "token_type": "bearer", "expires_in": 60}


class Endpoint:
    """Gives tokens that are good for 100 seconds, numbered, while it works."""

    def __init__(self) -> None:
        self.works = True
        self.asked = 0
        self.now = 1000.0
        self.provider = CachedToken(self.grant, lambda: self.now)

    def grant(self) -> Grant:
        self.asked += 1
        if not self.works:
            raise TokenError("it is down")
        return Grant(f"t{self.asked}", 100.0)

    def at(self, seconds: float) -> str:
        self.now = 1000.0 + seconds
        return self.provider.token()


def test_a_token_is_kept_and_renewed_before_it_expires() -> None:
    endpoint = Endpoint()
    assert [endpoint.at(seconds) for seconds in (0, 1, 79, 80, 81, 159, 160)] == ["t1", "t1", "t1", *["t2"] * 3, "t3"]


def test_a_token_that_cannot_be_renewed_is_used_until_it_expires_and_asked_for_now_and_then() -> None:
    endpoint = Endpoint()
    endpoint.at(0)
    endpoint.works = False
    assert [endpoint.at(seconds) for seconds in (80, 82, 84, 86, 99)] == ["t1"] * 5
    assert endpoint.asked == 4
    with pytest.raises(TokenError, match="it is down"):
        endpoint.at(100)
    endpoint.works = True
    assert endpoint.at(101) == "t6"


def test_a_token_that_was_refused_is_forgotten() -> None:
    endpoint = Endpoint()
    endpoint.at(0)
    endpoint.provider.forget()
    assert endpoint.at(1) == "t2"
    endpoint.provider.forget()
    endpoint.works = False
    with pytest.raises(TokenError):
        endpoint.at(2)


def test_two_who_ask_at_once_cause_one_request() -> None:
    entered, release, asked = threading.Event(), threading.Event(), []

    def grant() -> Grant:
        asked.append(1)
        entered.set()
        release.wait(10)
        return Grant("t", 100.0)

    provider = CachedToken(grant)
    threads = [threading.Thread(target=provider.token) for _ in range(2)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    release.set()
    for thread in threads:
        thread.join(10)
    assert len(asked) == 1


def test_the_client_takes_it_for_a_lost_connection_which_it_tries_again() -> None:
    assert issubclass(TokenError, KafkaConnectionError)
    assert TokenError.retriable


class Answering:
    """A token endpoint on this machine that keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.location = 200, json.dumps(GOOD).encode(), ""
        self.asked: list[tuple[str, str, dict[str, list[str]]]] = []
        self.hold: threading.Event | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.asked.append((self.path, self.headers["Authorization"], form))
                if outer.hold is not None:
                    outer.hold.wait(10)
                    return
                self.send_response(outer.status)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def do_GET(self) -> None:
                outer.asked.append((self.path, "", {}))
                self.send_error(404)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library names it)
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def ask(self, scope: str | None = None, timeout: float = 5.0) -> Grant:
        return client_credentials(self.url, "me:too", SECRET, scope, None, timeout)


@pytest.fixture
def answering() -> Iterator[Answering]:
    it = Answering()
    yield it
    it.server.shutdown()
    it.thread.join()
    it.server.server_close()


def test_it_asks_as_the_rfc_has_it(answering: Answering) -> None:
    assert answering.ask() == Grant("abc.DEF-1", 60.0)
    answering.ask("a b")
    credentials = base64.b64encode(b"me%3Atoo:p%40ss+word%2F%2B%3D").decode()
    form = {"grant_type": ["client_credentials"]}
    assert answering.asked == [
        ("/token", f"Basic {credentials}", form),
        ("/token", f"Basic {credentials}", {**form, "scope": ["a b"]}),
    ]
    assert "abc" not in repr(answering.ask())


def test_a_lifetime_that_is_not_said_is_five_minutes(answering: Answering) -> None:
    answering.body = json.dumps({"access_token": "abc", "token_type": "Bearer"}).encode()
    assert answering.ask() == Grant("abc", 300.0)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b'{"error": "no_such", "error_description": "not\\n you"}', r"HTTP 401 \(no_such, not you\)"),
        (400, b'{"error": "no p@ss word/+= here"}', r"HTTP 400 \(no … here\)"),
        (500, b"<html>", "HTTP 500$"),
        (200, b"<html>", "the answer is not JSON"),
        (200, b"[" * 100_000, "the answer is not JSON"),
        (200, b"[]", "not a JSON object"),
        (200, b"{}", "no access_token"),
        (200, json.dumps({**GOOD, "access_token": "a\x01auth=b"}).encode(), "no access_token that can be sent"),
        (200, json.dumps({**GOOD, "token_type": "mac"}).encode(), "of type 'mac', not Bearer"),
        (200, json.dumps({**GOOD, "expires_in": 0}).encode(), "expires in '0' s"),
        (200, json.dumps({**GOOD, "expires_in": "soon"}).encode(), "expires in 'soon' s"),
        (200, json.dumps({**GOOD, "expires_in": float("nan")}).encode(), "expires in 'nan' s"),
    ],
)  # fmt: skip
def test_another_answer_is_an_error_that_says_so(answering: Answering, status: int, body: bytes, said: str) -> None:
    answering.status, answering.body = status, body
    with pytest.raises(TokenError, match=f"TOKEN_ENDPOINT: no token from {answering.url}: .*{said}") as caught:
        answering.ask()
    assert "p@ss" not in str(caught.value)


def test_the_secret_is_not_carried_to_another_place(answering: Answering) -> None:
    answering.status, answering.location = 302, f"{answering.url}/elsewhere"
    with pytest.raises(TokenError, match="HTTP 302"):
        answering.ask()
    assert [path for path, *_ in answering.asked] == ["/token"]


def test_an_endpoint_that_is_silent_is_given_up(answering: Answering) -> None:
    answering.hold = threading.Event()
    with pytest.raises(TokenError, match="timed out"):
        answering.ask(timeout=0.1)
    answering.hold.set()


def test_an_endpoint_that_is_not_there_is_named() -> None:
    with pytest.raises(TokenError, match=r"no token from http://127\.0\.0\.1:9/: .*refused"):
        client_credentials("http://127.0.0.1:9/", "me", SECRET, None, None)


@pytest.fixture
def proxy(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """A proxy that the environment names for everything, and what it was asked: the path and its credentials."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            self.send_error(502)

        def do_CONNECT(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            self.send_error(502)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_address[1]}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_proxy_is_not_asked_for_an_endpoint_on_this_machine(
    answering: Answering, proxy: list[tuple[str, str]]
) -> None:
    assert answering.ask() == Grant("abc.DEF-1", 60.0)
    answering.url = answering.url.replace("127.0.0.1", "localhost")
    assert answering.ask() == Grant("abc.DEF-1", 60.0)
    assert proxy == []


def test_a_proxy_on_the_way_to_another_machine_is_used_and_does_not_see_the_secret(
    proxy: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TokenError):
        client_credentials("https://idp.invalid/token", "me", SECRET, None, None)
    assert proxy == [("idp.invalid:443", "")]
    proxy.clear()
    monkeypatch.setenv("no_proxy", "idp.invalid")
    with pytest.raises(TokenError):
        client_credentials("https://idp.invalid/token", "me", SECRET, None, None)
    assert proxy == []


def test_a_secret_goes_nowhere_else_without_encryption(proxy: list[tuple[str, str]]) -> None:
    for place in ("http://idp.invalid/token", "http://localhost.idp.invalid/token", "ftp://localhost/token", "token"):
        with pytest.raises(TokenError, match="https://"):
            client_credentials(place, "me", SECRET, None, None)
    assert proxy == []


def test_what_the_query_of_an_endpoint_holds_is_not_told() -> None:
    with pytest.raises(TokenError) as caught:
        client_credentials("http://127.0.0.1:9/t?code=hush-hush&scope=kafka#hush-hush", "me", SECRET, None, None)
    assert "http://127.0.0.1:9/t?code=***&scope=kafka#***" in str(caught.value)
    assert "hush-hush" not in str(caught.value)
