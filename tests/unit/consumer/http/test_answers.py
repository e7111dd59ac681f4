"""Status, cycles and versions by HTTP are what the command line says, and are as the models have them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from consumer.errors import OldLedger
from consumer.ledger.ledger import Ledger
from consumer.ledger.past_cycles import WhichCycles, find_cycle, find_cycles
from consumer.operating.overview import overview
from consumer.status import ServiceState
from schemas.api.answers import (
    CyclesAnswer,
    ErrorAnswer,
    PastCycle,
    RegisteredVersion,
    ReportsAnswer,
    SamplesAnswer,
    StatusAnswer,
    VersionsAnswer,
)
from schemas.log_events.http import HTTP_FAILED
from tests.unit.consumer.http.served import Served, clock, listening, serve


@pytest.fixture
def served(ledger: Ledger, tmp_path: Path) -> Iterator[Served]:
    found = serve(ledger, tmp_path)
    with found.client:
        yield found


def wrong(answer: Any) -> ErrorAnswer:
    return ErrorAnswer.model_validate_json(answer.text)


def test_the_status_is_that_of_the_command_line_and_says_whether_orders_are_taken(served: Served) -> None:
    found = served.get("/api/v1/status")
    more = {name: found.pop(name) for name in ("actions", "release")}
    assert found == json.loads(json.dumps(overview(served.settings, served.ledger, clock(), served.said[-1])))
    assert (found["state"], found["champion"], found["cycle"]["cycle_id"]) == ("listening", 2, served.cycles[-1])
    assert more["actions"] is True
    StatusAnswer.model_validate({**found, **more})


def test_the_status_says_so_where_no_orders_are_taken(ledger: Ledger, tmp_path: Path) -> None:
    assert serve(ledger, tmp_path, token=None).get("/api/v1/status")["actions"] is False


def test_cycles_are_those_of_the_command_line_with_their_decision(served: Served) -> None:
    found = served.get("/api/v1/cycles")
    assert found["more"] is False
    decisions = [cycle.pop("decision") for cycle in found["cycles"]]
    assert found["cycles"] == json.loads(json.dumps(find_cycles(served.ledger.engine, WhichCycles(), 20)))
    assert [cycle["cycle_id"] for cycle in found["cycles"]] == served.cycles[::-1]
    assert decisions[0] is None
    assert decisions[1].startswith("Registered as version 2")
    assert decisions[2] == ("Held, and nothing was learned: enough users changed, and more. What to do: mend the rows.")
    CyclesAnswer.model_validate(served.get("/api/v1/cycles"))


def test_one_page_of_cycles_follows_the_other_without_a_gap(served: Served) -> None:
    seen: list[str] = []
    more = True
    before: dict[str, str] = {}
    while more:
        page = served.get("/api/v1/cycles", params={"limit": 1, **before})
        seen += [cycle["cycle_id"] for cycle in page["cycles"]]
        more, before = page["more"], {"before": seen[-1]}
    assert seen == served.cycles[::-1]


def test_cycles_are_found_by_outcome_and_kind(served: Served) -> None:
    ids = served.cycles
    for params, wanted in [
        ({"outcome": "held"}, [ids[1]]),
        ({"outcome": ["held", "running"]}, [ids[3], ids[1]]),
        ({"kind": "bootstrap"}, [ids[0]]),
        ({"outcome": "registered", "kind": "incremental"}, [ids[2]]),
        ({"outcome": "registered", "before": ids[2]}, [ids[0]]),
        ({"outcome": "failed"}, []),
    ]:
        found = served.get("/api/v1/cycles", params=params)
        assert [cycle["cycle_id"] for cycle in found["cycles"]] == wanted, params


def test_one_cycle_and_one_version_are_as_in_the_lists(served: Served) -> None:
    cycle = served.get(f"/api/v1/cycles/{served.cycles[1]}")
    assert cycle["decision"].startswith("Held")
    assert {**cycle, "decision": None} == {
        **json.loads(json.dumps(find_cycle(served.ledger.engine, served.cycles[1]))),
        "decision": None,
    }
    PastCycle.model_validate(cycle)
    versions = served.get("/api/v1/versions")
    assert versions["versions"] == json.loads(json.dumps(served.ledger.views.versions()))
    assert versions["more"] is False
    VersionsAnswer.model_validate(versions)
    newest = served.get("/api/v1/versions", params={"limit": 1})
    assert ([one["version"] for one in newest["versions"]], newest["more"]) == ([2], True)
    assert served.get("/api/v1/versions/1") == versions["versions"][0]
    RegisteredVersion.model_validate(served.get("/api/v1/versions/2"))


ABSENT = [
    "/api/v1/cycles/c000099-00000000",
    "/api/v1/cycles/1",
    "/api/v1/cycles/last",
    "/api/v1/cycles/..",
    "/api/v1/versions/3",
    "/api/v1/versions/0",
    "/api/v1/versions/one",
    "/api/v1/versions/99999999999999999999",
    "/api/v1/reports/c000001",
    "/api/v1/nothing",
    "/nothing",
    "/static/nothing.js",
    "/static/..%2f..%2fapp.py",
    "/static/%2e%2e/app.py",
    "/api/v1/reports/..%2f..%2fledger.db",
    "/api/v1/reports/%2e%2e",
]


def test_what_is_not_there_is_not_found_and_the_answer_says_where_to_look(served: Served) -> None:
    for path in ABSENT:
        answer = served.client.get(path)
        assert answer.status_code == 404, path
        assert wrong(answer).error.way_out


WRONG = [
    "cycles?limit=0",
    "cycles?limit=101",
    "cycles?limit=many",
    "cycles?limit=1&limit=2",
    "cycles?before=5",
    "cycles?outcome=good",
    "cycles?kind=small",
    "cycles?colour=red",
    "versions?limit=-1",
    "samples?since=yesterday",
    "samples?points=0",
    "status?x=1",
]


def test_a_wrong_parameter_is_named_with_its_value_and_the_way_out(served: Served) -> None:
    for query in WRONG:
        answer = served.client.get(f"/api/v1/{query}")
        assert answer.status_code == 400, query
        assert query.partition("?")[2].partition("=")[0] in wrong(answer).error.what


def test_answers_are_never_kept_and_may_do_nothing_in_a_browser(served: Served) -> None:
    headers = served.client.get("/api/v1/status").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_the_head_of_an_answer_can_be_asked_for_and_other_methods_are_refused(served: Served) -> None:
    assert served.client.head("/api/v1/status").status_code == 200
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = served.client.request(method, "/api/v1/status")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert wrong(answer).error.way_out == "use GET, HEAD"
    answer = served.client.get("/api/v1/orders/pause")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_service_that_is_well_is_healthy_and_ready(served: Served) -> None:
    health, ready = served.client.get("/healthz"), served.client.get("/readyz")
    assert (health.status_code, health.text) == (200, "listening: the listener polled 1 s ago\n")
    assert (ready.status_code, ready.text) == (200, "ready\n")


def test_health_is_judged_as_by_the_health_check(served: Served) -> None:
    served.said.append(listening(held="600 of 600 rows refused; to do: mend them"))
    answer = served.client.get("/healthz")
    assert (answer.status_code, answer.text) == (503, "held: 600 of 600 rows refused; to do: mend them\n")
    served.said.append(listening(polled_elapsed=400.0))
    answer = served.client.get("/healthz")
    assert answer.status_code == 503
    assert "the listener last polled 100 s ago" in answer.text
    served.said.clear()
    assert served.client.get("/healthz").status_code == 503


UNREADY: list[tuple[dict[str, Any], str]] = [
    ({"partitions": 0, "caught_up": True, "listener": "joining"}, "the listener has no partition yet"),
    ({"caught_up": False, "lag": 12}, "the listener has not caught up: 12 events are left"),
    ({"caught_up": False, "lag": None}, "the listener has not caught up: it is not known how far"),
    ({"unable": "broker away: refused"}, "the listener cannot read: broker away: refused"),
    ({"trouble": "the disk is full"}, "the disk is full"),
    ({"state": ServiceState.STOPPED}, "stopped: the service was last heard 0 s ago"),
    ({"written_elapsed": 400.0}, "listening: the service was last heard 100 s ago"),
]


def test_a_service_that_is_not_ready_says_why(served: Served) -> None:
    for said, why in UNREADY:
        served.said.append(listening(**said))
        answer = served.client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, f"{why}\n")


def test_an_instance_that_the_group_gave_no_partition_is_ready(served: Served) -> None:
    served.said.append(listening(partitions=0, listener="standing by", state="standing by"))
    assert served.client.get("/readyz").status_code == 200


def broken() -> Ledger:
    raise OperationalError("SELECT secret FROM cycles", {"password": "hidden"}, Exception("the server is gone"))


def test_a_ledger_that_does_not_answer_is_said_so_while_health_is_told(ledger: Ledger, tmp_path: Path) -> None:
    served = serve(ledger, tmp_path, opened=broken)
    for path in ("status", "cycles", "versions/1", f"reports/{served.cycles[0]}", f"cycles/{served.cycles[0]}"):
        answer = served.client.get(f"/api/v1/{path}")
        assert (answer.status_code, wrong(answer).error.what) == (
            503,
            "the ledger does not answer: the server is gone",
        ), path
        assert "SELECT" not in answer.text
    answer = served.order("pause")
    assert answer.status_code == 503
    ready = served.client.get("/readyz")
    assert (ready.status_code, ready.text) == (503, "the ledger does not answer: the server is gone\n")
    assert served.client.get("/healthz").status_code == 200


def test_a_ledger_of_another_release_is_said_so(ledger: Ledger, tmp_path: Path) -> None:
    def old() -> Ledger:
        raise OldLedger("an earlier release made the ledger")

    served = serve(ledger, tmp_path, opened=old)
    assert served.client.get("/api/v1/status").status_code == 503
    ready = served.client.get("/readyz")
    assert ready.text == "the ledger does not answer: an earlier release made the ledger\n"


def test_a_fault_of_ours_is_logged_and_nothing_of_it_gets_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a secret of our inside")

    monkeypatch.setattr("consumer.http.answers.overview", fails)
    with capture_logs() as logs:
        answers = [served.client.get("/api/v1/status") for _ in range(3)]
    assert [(line["event"], line["path"], line["reason"]) for line in logs] == [
        (HTTP_FAILED, "/api/v1/status", "RuntimeError: a secret of our inside")
    ]
    answer = answers[0]
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert wrong(answer).error.what == "this is a fault of Retrainer"


def test_reports_are_listed_newest_first(served: Served) -> None:
    assert served.get("/api/v1/reports") == {"reports": []}
    for number, cycle_id in enumerate([*served.cycles, "not-a-cycle"]):
        folder = served.settings.reports_dir / cycle_id
        folder.mkdir(parents=True)
        (folder / "evidence.json").write_text("{}")
        os.utime(folder / "evidence.json", (1000.0 + number, 1000.0 + number))
    (served.settings.reports_dir / served.cycles[0] / "report.html").write_text("<p>one</p>")
    found = ReportsAnswer.model_validate(served.get("/api/v1/reports")).reports
    assert [one.cycle_id for one in found] == served.cycles[::-1]
    assert [one.drawn for one in found] == [False, False, False, True]
    assert found[-1].at == datetime.fromtimestamp(1000.0, UTC)


def test_the_page_of_a_report_is_served_and_may_run_nothing(served: Served) -> None:
    folder = served.settings.reports_dir / served.cycles[0]
    folder.mkdir(parents=True)
    (folder / "evidence.json").write_text("{}")
    (folder / "report.html").write_text("<p>how it went</p>")
    answer = served.client.get(f"/api/v1/reports/{served.cycles[0]}")
    assert (answer.status_code, answer.text) == (200, "<p>how it went</p>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


def test_a_report_of_a_cycle_that_the_ledger_does_not_know_is_not_served(served: Served) -> None:
    folder = served.settings.reports_dir / "c000099-00000000"
    folder.mkdir(parents=True)
    (folder / "evidence.json").write_text("{}")
    (folder / "report.html").write_text("<p>of another ledger</p>")
    assert served.client.get("/api/v1/reports/c000099-00000000").status_code == 404


def test_a_version_of_a_local_registry_lends_its_page(served: Served) -> None:
    answer = served.client.get(f"/api/v1/reports/{served.cycles[2]}")
    assert answer.status_code == 404
    assert "`retrainer report 2`" in wrong(answer).error.way_out
    assert served.settings.model_registry.kind == "local"
    folder = served.settings.model_registry.path / served.settings.model_name / "2"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>of the version</p>")
    assert served.client.get(f"/api/v1/reports/{served.cycles[2]}").text == "<p>of the version</p>"


def test_the_report_of_a_running_cycle_is_yet_to_come(served: Served) -> None:
    answer = served.client.get(f"/api/v1/reports/{served.cycles[3]}")
    assert answer.status_code == 404
    assert "still running" in wrong(answer).error.way_out


def test_samples_are_answered(served: Served) -> None:
    answer = served.client.get("/api/v1/samples?since=2026-11-24T08:00:00+00:00&points=5")
    assert answer.status_code == 200, answer.text
    SamplesAnswer.model_validate_json(answer.text)
