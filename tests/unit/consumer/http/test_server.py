"""The server at a real socket: whatever clients do, it answers the next one, and it stops within seconds."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from consumer.http import connection, reading, server
from consumer.http.server import HttpServer, listening, url_of
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from schemas.log_events.http import HTTP_SERVED, HTTP_TROUBLE, HTTP_WORKS
from tests.unit.consumer.http import served
from tests.waiting import wait_until, within


def settings_of(folder: Path, ledger: Ledger | None = None, **http: Any) -> Settings:
    url = f"sqlite:///{folder / 'ledger.db'}"
    return Settings(state_dir=folder, ledger={"url": url}, http={"port": 0, "token": served.TOKEN, **http})


@pytest.fixture
def running(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    monkeypatch.setattr(connection, "ARRIVES", 1.0)
    monkeypatch.setattr(connection, "MOST", 12)
    made = HttpServer(settings_of(tmp_path), served.listening)
    made.start()
    wait_until(lambda: made.url, 20, "the server")
    yield made
    made.stop()


def opened(at: HttpServer) -> socket.socket:
    assert at.url is not None
    address = httpx.URL(at.url)
    return socket.create_connection((address.host, address.port or 80), timeout=30)


def answers(at: HttpServer) -> bool:
    """Whether somebody who comes now is answered."""
    with opened(at) as client:
        client.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return client.recv(4096).startswith(b"HTTP/1.1 200 OK")


def ends(client: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    found = b""
    try:
        while chunk := client.recv(4096):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def test_it_serves_by_the_url_that_it_names(running: HttpServer, ledger: Ledger) -> None:
    assert running.url is not None
    found = httpx.get(f"{running.url}api/v1/status").json()
    assert (found["state"], found["actions"], found["open_dead_letters"]) == ("not responding", True, 0)
    assert "server" not in httpx.get(running.url).headers


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"G",
        b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST /api/v1/orders/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + served.TOKEN.encode() + b"\r\nContent-Length: 100\r\n\r\n{",
        b"POST /api/v1/orders/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_a_request_that_stops_half_way_is_ended(running: HttpServer, half: bytes) -> None:
    with opened(running) as client, within(4):
        client.sendall(half)
        assert b"200 OK" not in ends(client)
    assert answers(running)


def test_a_request_that_drips_is_ended_in_time(running: HttpServer) -> None:
    with opened(running) as client, within(4):
        try:
            for letter in b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"x" * 10_000:
                client.sendall(bytes([letter]))
                time.sleep(0.05)
        except OSError:
            return
    raise AssertionError("the server has waited for all of it")


def test_what_is_no_request_is_told_so(running: HttpServer) -> None:
    tls = b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"
    for nonsense in (tls, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 400 + b"\r\n\r\n"):
        with opened(running) as client:
            client.sendall(nonsense)
            found = ends(client)
            assert found.startswith(b"HTTP/1.1 400 "), (nonsense, found)
            assert json.loads(found.partition(b"\r\n\r\n")[2])["error"]["way_out"]
    assert answers(running)


def test_headers_that_are_too_large_are_refused(running: HttpServer) -> None:
    with opened(running) as client:
        try:
            for _ in range(100):
                client.sendall(b"GET / HTTP/1.1\r\nX-Large: " + b"x" * 10_000)
        except OSError:
            pass
        assert ends(client)[:13] in {b"HTTP/1.1 400 ", b""}
    assert answers(running)


def test_silent_connections_make_room_for_whoever_asks(running: HttpServer) -> None:
    with ExitStack() as held:
        silent = [held.enter_context(opened(running)) for _ in range(60)]
        assert answers(running)
        for one in silent:
            one.settimeout(0.01)
        gone = 0
        for one in silent:
            try:
                gone += one.recv(10) == b""
            except TimeoutError:
                continue
            except ConnectionResetError:
                gone += 1
        assert gone >= 60 - 12


def test_whoever_has_asked_before_stays_while_silent_ones_go(running: HttpServer) -> None:
    with ExitStack() as held:
        page = held.enter_context(opened(running))
        asked = b"GET /static/none HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        found = b""
        for round_ in (1, 2):
            page.sendall(asked)
            while found.count(b"HTTP/1.1 404") < round_:
                more = page.recv(4096)
                assert more, "the connection was ended"
                found += more
            for _ in range(60):
                held.enter_context(opened(running))
            assert answers(running)


def test_where_all_are_at_work_the_next_one_is_told_to_come_again(
    running: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, done = threading.Semaphore(0), threading.Event()

    def slow(*_: object) -> dict[str, Any]:
        at_work.release()
        done.wait(30)
        return {}

    monkeypatch.setattr("consumer.http.answers.overview", slow)
    with ExitStack() as held:
        try:
            for _ in range(12):
                client = held.enter_context(opened(running))
                client.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for _ in range(reading.AT_ONCE):
                assert at_work.acquire(timeout=20)
            with opened(running) as late:
                late.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert b"HTTP/1.1 503 " in ends(late)
        finally:
            done.set()
    wait_until(lambda: answers(running), 10, "room again")


def test_a_ledger_that_hangs_holds_up_nobody_but_those_who_ask_it(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.Asking.__init__, "__defaults__", (0.3,))
    hanging = threading.Event()
    monkeypatch.setattr("consumer.http.answers.overview", lambda *_: hanging.wait(60))
    made = HttpServer(settings_of(tmp_path), served.listening)
    made.start()
    try:
        url = wait_until(lambda: made.url, 20, "the server")
        for _ in range(6):  # more than there are threads
            answer = httpx.get(f"{url}api/v1/status", timeout=20)
            assert answer.status_code == 503
            assert "no answer within 0.3 s" in answer.json()["error"]["what"]
        with within(2):
            assert httpx.get(f"{url}healthz", timeout=20).status_code in {200, 503}
            assert httpx.get(f"{url}readyz", timeout=20).status_code == 503
        with within(4):
            made.stop()
    finally:
        hanging.set()
        made.stop()


def test_a_client_that_does_not_take_its_answer_is_let_go(running: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWERED", 1.0)
    monkeypatch.setattr("consumer.http.answers.overview", lambda *_: {"much": "x" * 20_000_000})
    with opened(running) as client, within(8):
        client.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(1.5)
        assert len(ends(client)) < 19_000_000
    assert answers(running)


def test_an_answer_may_take_longer_than_a_request_may(running: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.http.answers.overview", lambda *_: {"waited": threading.Event().wait(1.6)})
    assert httpx.get(f"{running.url}api/v1/status", timeout=30).status_code == 200


def test_requests_that_follow_each_other_on_one_connection_are_answered(running: HttpServer) -> None:
    assert running.url is not None
    with httpx.Client(base_url=running.url) as client:
        assert [client.get("/api/v1/reports").status_code for _ in range(5)] == [200] * 5
    with opened(running) as raw:
        raw.sendall(b"GET /api/v1/reports HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 3)
        found = b""
        while found.count(b"HTTP/1.1 200 OK") < 3:
            found += raw.recv(4096)


def test_a_port_that_is_taken_is_logged_once_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_AGAIN", 0.05)
    taken = listening("127.0.0.1", 0)
    port = taken.getsockname()[1]
    made = HttpServer(settings_of(tmp_path, port=port), served.listening)
    with capture_logs() as logs:
        try:
            made.start()
            wait_until(lambda: made.trouble, 10, "the trouble")
            assert made.url is None
            tried = threading.Event()
            wait_until(lambda: made._trouble._failures > 3 or tried.is_set(), 10, "more tries")
            taken.close()
            assert wait_until(lambda: made.url, 20, "the port") == f"http://127.0.0.1:{port}/"
        finally:
            taken.close()
            made.stop()
    events = [line["event"] for line in logs]
    assert events == [HTTP_TROUBLE, HTTP_WORKS, HTTP_SERVED]
    assert f"127.0.0.1:{port}: Address already in use" in logs[0]["reason"]
    assert "RETRAINER_HTTP__PORT" in logs[0]["reason"]


def test_an_address_that_is_not_ours_is_logged_and_the_thread_ends_when_it_is_told(tmp_path: Path) -> None:
    made = HttpServer(settings_of(tmp_path, host="192.0.2.1", port=8642), served.listening)
    with capture_logs() as logs, within(3):
        made.start()
        wait_until(lambda: made.trouble, 10, "the trouble")
        made.stop()
    assert [line["event"] for line in logs] == [HTTP_TROUBLE]


def test_it_stops_within_seconds_while_clients_hang_on(running: HttpServer) -> None:
    with ExitStack() as held:
        for half in (b"", b"GET /", b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
            held.enter_context(opened(running)).sendall(half)
        with within(3):
            running.stop()
        assert running.url is None


def test_it_starts_again(running: HttpServer) -> None:
    running.stop()
    running.start()
    wait_until(lambda: running.url, 20, "the server again")
    assert answers(running)


def test_its_url_leads_there_from_this_machine() -> None:
    assert url_of("127.0.0.1", 1) == "http://127.0.0.1:1/"
    assert url_of("0.0.0.0", 8642) == "http://127.0.0.1:8642/"  # noqa: S104
    assert url_of("::", 8642) == "http://127.0.0.1:8642/"
    assert url_of("::1", 8642) == "http://[::1]:8642/"
    assert url_of("box.internal", 80) == "http://box.internal:80/"


def test_every_address_is_listened_at_in_both_families() -> None:
    with closing(listening("::", 0)) as both:
        port = both.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=10).close()
