"""The installed service by HTTP: what it says and is told, what that costs, and what clients cannot do to it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from consumer.ledger.ledger import open_ledger
from schemas.api.answers import (
    CyclesAnswer,
    PauseAnswer,
    PromotionAnswer,
    ReportsAnswer,
    RetrainAnswer,
    SamplesAnswer,
    StatusAnswer,
    VersionsAnswer,
)
from schemas.log_events.http import HTTP_SERVED
from tests.integration.service import Service
from tests.waiting import wait_until
from tests.worlds import names

TOKEN = "a-token-of-tests-0123456789"  # noqa: S105
MOST = 120e6
"""Bytes of resident memory that the service may take, with all that it serves."""


@pytest.fixture
def service(tansu_address: str, tmp_path: Path) -> Iterator[Service]:
    served = {"HTTP__ENABLED": "true", "HTTP__PORT": "0", "HTTP__TOKEN": TOKEN}
    made = Service(tmp_path, tansu_address, **served)
    yield made
    made.close()


class Asking:
    """A client of a service."""

    def __init__(self, service: Service) -> None:
        self.url = str(wait_until(lambda: _served(service), 60, "the page"))
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def get(self, path: str, **params: Any) -> str:
        answer = self.client.get(f"/api/v1/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.text

    def order(self, name: str, **body: Any) -> str:
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = self.client.post(f"/api/v1/orders/{name}", json={"reason": "a test", **body}, headers=headers)
        assert answer.status_code in {200, 202}, answer.text
        return answer.text

    def status(self) -> StatusAnswer:
        return StatusAnswer.model_validate_json(self.get("status"))

    def is_ready(self) -> bool:
        return self.client.get("/readyz").status_code == 200


def _served(service: Service) -> str | None:
    return next((line["url"] for line in service.log() if line["event"] == HTTP_SERVED), None)


def resident(service: Service) -> int:
    assert service.process is not None
    return int(psutil.Process(service.process.pid).memory_info().rss)


@pytest.mark.full
def test_a_day_by_http(service: Service) -> None:
    service.fill()
    service.start()
    asking = Asking(service)
    service.wait_for_cycles(1)
    wait_until(asking.is_ready, 30, "readiness")
    assert asking.client.get("/healthz").status_code == 200
    first = wait_until(lambda: asking.status().champion, 30, "the champion")
    assert asking.status().state in {"listening", "training"}

    paused = PauseAnswer.model_validate_json(asking.order("pause", by="Ada"))
    assert paused.pause.by == "Ada"
    service.wave(1)
    wait_until(lambda: asking.status().pending.untried_users >= 20, 30, "the wave")
    assert "paused" in str(wait_until(lambda: asking.status().hold, 30, "the hold"))
    asked = RetrainAnswer.model_validate_json(asking.order("retrain", by="Ada"))
    assert asked.kind == "incremental"
    assert len(VersionsAnswer.model_validate_json(asking.get("versions")).versions) == 1
    asking.order("resume")
    wait_until(lambda: asking.status().champion not in {None, first}, 90, "the second version")

    back = PromotionAnswer.model_validate_json(asking.order("rollback", by="Ada", instead_of=2))
    assert (back.version, back.withdrawn) == (1, (2,))
    assert asking.status().champion == 1
    shown = service.state_dir / "registry" / "two_tower_recommender" / "champion.json"
    wait_until(lambda: json.loads(shown.read_text())["version"] == 1, 30, "the registry to show it")

    cycles = CyclesAnswer.model_validate_json(asking.get("cycles")).cycles
    assert [cycle.cycle_id for cycle in cycles] == [cycle["cycle_id"] for cycle in reversed(service.versions())]
    reports = ReportsAnswer.model_validate_json(asking.get("reports")).reports
    assert [(report.cycle_id, report.drawn) for report in reports] == [(cycle.cycle_id, False) for cycle in cycles]
    assert "Registered as version 2" in asking.get(f"reports/{reports[0].cycle_id}")  # drawn for us
    assert ReportsAnswer.model_validate_json(asking.get("reports")).reports[0].drawn
    assert resident(service) < MOST, f"{resident(service) / 1e6:.0f} MB"
    assert service.stop() == 0


def test_the_service_stays_small_and_its_listener_polls_whatever_clients_do(service: Service) -> None:
    with closing(open_ledger(f"sqlite:///{service.state_dir / 'ledger.db'}")) as ledger:
        ledger.orders.pause(by="a test", reason="no cycle is wanted", now=0.0)
    service.start()
    asking = Asking(service)
    service.topic.send_users(names(200))
    wait_until(lambda: service.status()["page"] == asking.url, 10, "the status to name the page")
    assert asking.client.get("/healthz").status_code in {200, 503}
    with ExitStack() as held:
        address = httpx.URL(asking.url)
        for number in range(200):
            client = held.enter_context(socket.create_connection((address.host, address.port or 80), timeout=30))
            client.sendall([b"", b"G", b"GET /api/v1/status HTTP/1.1\r\nHost: x", b"POST / HTTP/1.1\r\n"][number % 4])
        service.topic.send_users(names(50, start=200))
        wait_until(lambda: asking.status().events == 250, 30, "events read beside 200 connections")
        wait_until(asking.is_ready, 60, "readiness beside 200 connections")
    for _ in range(20):
        for path in ("status", "cycles", "versions", "reports", "samples", "openapi.json"):
            asking.get(path)
        for path in ("/", "/healthz", "/readyz", "/metrics"):
            asking.client.get(path)
    SamplesAnswer.model_validate_json(asking.get("samples"))
    assert resident(service) < MOST, f"{resident(service) / 1e6:.0f} MB"
    assert service.stop() == 0
