"""The doctor's order, deadlines and lines, and its looks at this machine; nothing here needs a cluster or a broker."""

from __future__ import annotations

import errno
import io
import json
import re
import shutil
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import update
from typer.testing import CliRunner

from consumer.cli import app
from consumer.doctor.checks import Check, Finding, Outcome, Result, Trouble, failed, ok, skipped, warning
from consumer.doctor.kafka import kafka_checks
from consumer.doctor.machine import machine_checks
from consumer.doctor.registry import registry_check
from consumer.doctor.report import Report, as_json
from consumer.doctor.run import Examination
from consumer.doctor.runner import Runner
from consumer.doctor.visit import Visit
from consumer.errors import SettingsError
from consumer.ledger.ledger import open_ledger
from consumer.ledger.tables import schema_version
from consumer.settings import Settings
from consumer.status import STOPPED, Status, write_status
from trainer.errors import Unreachable

GB = 10**9


def run(*checks: Check, budget: float = 20.0) -> dict[str, Result]:
    return {result.name: result for result in Runner(budget, lambda text: text).run(checks)}


def raising(error: BaseException) -> Finding:
    raise error


def test_a_check_whose_need_failed_is_skipped_and_names_the_first_cause() -> None:
    looked: list[str] = []

    def look() -> Finding:
        looked.append("again")
        return ok("fine")

    results = run(
        Check("a", lambda: failed("broken", "mend it")),
        Check("b", look, needs=("a",)),
        Check("c", look, needs=("b",)),
        Check("d", lambda: ok("fine")),
        Check("e", lambda: ok("fine"), needs=("d", "a")),
    )
    assert looked == []
    assert [result.outcome for result in results.values()] == ["failed", "skipped", "skipped", "ok", "skipped"]
    assert [results[name].found for name in "bce"] == ["needs a"] * 3


def test_a_warning_does_not_hold_up_what_comes_after_and_what_was_skipped_does() -> None:
    results = run(
        Check("a", lambda: warning("so so", "look")),
        Check("b", lambda: ok("fine"), needs=("a",)),
        Check("c", lambda: skipped("not used")),
        Check("d", lambda: ok("fine"), needs=("c",)),
    )
    assert results["b"].outcome is Outcome.OK
    assert (results["d"].outcome, results["d"].found) == (Outcome.SKIPPED, "needs c")


def test_whatever_a_check_raises_is_a_failure_in_one_line_with_something_to_do() -> None:
    results = run(
        Check("trouble", lambda: raising(Trouble("it is off", "switch it on"))),
        Check("ours", lambda: raising(Unreachable("log in: no answer")), todo="wait"),
        Check("settings", lambda: raising(SettingsError("RETRAINER_X: wrong"))),
        Check("odd", lambda: raising(KeyError("two\nlines"))),
        Check("exit", lambda: raising(SystemExit(3))),
        Check("long", lambda: raising(ValueError("x" * 5000))),
    )
    assert all(result.outcome is Outcome.FAILED and result.todo for result in results.values())
    assert (results["trouble"].found, results["trouble"].todo) == ("it is off", "switch it on")
    assert (results["ours"].found, results["ours"].todo) == ("log in: no answer", "wait")
    assert results["odd"].found == r"unexpected KeyError: 'two\nlines'"
    assert len(results["long"].found) == 400


def test_a_check_that_hangs_fails_at_its_deadline_and_the_others_go_on() -> None:
    released = threading.Event()
    runner = Runner(20.0, lambda text: text)
    checks = [
        Check("hangs", lambda: ok(str(released.wait(30))), deadline=0.2, todo="cut the rope"),
        Check("next", lambda: ok("fine")),
    ]
    began = time.monotonic()
    hangs, following = runner.run(checks)
    assert time.monotonic() - began < 5
    assert (hangs.outcome, hangs.todo) == (Outcome.FAILED, "cut the rope")
    assert following.outcome is Outcome.OK
    assert runner.hanging
    released.set()
    for thread in threading.enumerate():
        if thread.name == "doctor-hangs":
            thread.join(5)
    assert not runner.hanging


def test_all_checks_together_have_a_deadline() -> None:
    released = threading.Event()
    checks = [Check(str(number), lambda: ok(str(released.wait(30))), deadline=10.0) for number in range(5)]
    began = time.monotonic()
    results = run(*checks, budget=0.3)
    assert time.monotonic() - began < 5
    released.set()
    assert results["0"].outcome is Outcome.FAILED
    assert [results[str(number)].outcome for number in range(1, 5)] == [Outcome.SKIPPED] * 4
    assert "no time" in results["4"].found


def test_what_is_found_and_what_to_do_are_redacted() -> None:
    runner = Runner(5.0, lambda text: text.replace("hunter2", "[hidden]"))
    (result,) = runner.run([Check("a", lambda: raising(Trouble("key hunter2", "not hunter2")))])
    assert (result.found, result.todo) == ("key [hidden]", "not [hidden]")


RESULTS = [
    Result("settings", Outcome.OK, "all there"),
    Result("notification topic", Outcome.FAILED, "none", "retrainer setup-hopsworks"),
    Result("disk", Outcome.WARNING, "little", "make room"),
    Result("topic", Outcome.SKIPPED, "needs notification topic"),
]


def lines(encoding: str) -> list[str]:
    written = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    report = Report(Console(file=written, width=40))
    for result in RESULTS:
        report.line(result)
    report.summary(RESULTS)
    written.seek(0)
    return written.read().splitlines()


def test_the_lines_are_aligned_and_never_broken() -> None:
    assert lines("utf-8") == [
        "✓ settings           all there",
        "✗ notification topic none",
        "                     → retrainer setup-hopsworks",
        "! disk               little",
        "                     → make room",
        "– topic              needs notification topic",  # noqa: RUF001
        "1 ok, 1 warning, 1 failed, 1 skipped",
    ]


def test_a_console_that_knows_ascii_alone_gets_ascii() -> None:
    assert [line[:2] for line in lines("ascii") if line[0] != " "] == ["+ ", "x ", "! ", "- ", "1 "]


def test_json_has_every_check_and_one_word_for_all() -> None:
    told = as_json(RESULTS)
    assert told["ok"] is False
    assert told["checks"][1] == {
        "name": "notification topic",
        "outcome": "failed",
        "found": "none",
        "todo": "retrainer setup-hopsworks",
    }
    assert told["checks"][0]["todo"] is None
    assert as_json([result for result in RESULTS if result.outcome is not Outcome.FAILED])["ok"] is True


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    (tmp_path / "state").mkdir()
    visit = Visit(lambda: Settings(state_dir=tmp_path / "state"))
    visit.settings = visit.load()
    yield visit
    visit.end()


def look(visit: Visit, name: str) -> Result:
    checks = {check.name: check for check in [*machine_checks(visit), registry_check(visit)]}
    return run(checks[name])[name]


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "outcome"), [(6 * GB, "ok"), (4 * GB, "warning"), (GB // 2, "failed")])
def test_little_room_is_warned_of_and_too_little_fails(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, free: int, outcome: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(100 * GB, 0, free))
    found = look(visit, "disk")
    assert found.outcome == outcome
    assert f"{free / GB:.1f} GB free" in found.found
    assert (found.todo is None) == (outcome == "ok")


def test_looking_leaves_no_trace(visit: Visit) -> None:
    for name in ("disk", "ledger", "model registry", "service", "clock"):
        assert look(visit, name).outcome in {Outcome.OK, Outcome.SKIPPED}
    assert list(visit.settings.state_dir.iterdir()) == []


def test_folders_that_cannot_be_written_fail(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for name, module, setting in (
        ("disk", "machine", "RETRAINER_STATE_DIR"),
        ("model registry", "registry", "RETRAINER_MODEL_REGISTRY__PATH"),
    ):
        monkeypatch.setattr(f"consumer.doctor.{module}.NamedTemporaryFile", refused)
        found = look(visit, name)
        assert found.outcome is Outcome.FAILED
        assert "Permission denied" in found.found
        assert setting in str(found.todo)


def test_a_state_folder_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    visit = Visit(lambda: Settings(state_dir=tmp_path / "file" / "state"))
    visit.settings = visit.load()
    assert look(visit, "disk").outcome is Outcome.FAILED
    assert look(visit, "model registry").outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("ahead", "outcome", "said"),
    [
        (0.4, "ok", "within 5 s of the cluster's"),
        (-20.0, "warning", "20 s ahead of the cluster's"),
        (20.0, "warning", "20 s behind the cluster's"),
        (61.0, "failed", "61 s behind the cluster's"),
        (-3600.0, "failed", "3600 s ahead of the cluster's"),
    ],
)
def test_the_clock_is_compared_with_the_clusters(visit: Visit, ahead: float, outcome: str, said: str) -> None:
    visit.offset = ahead
    found = look(visit, "clock")
    assert (found.outcome, found.found) == (outcome, said)
    assert "NTP" in str(found.todo) or outcome == "ok"


def test_without_a_cluster_a_record_from_the_future_tells_of_a_slow_clock(visit: Visit) -> None:
    visit.record_from = time.time() - 1000
    assert look(visit, "clock").outcome is Outcome.SKIPPED
    visit.record_from = time.time() + 100
    found = look(visit, "clock")
    assert found.outcome is Outcome.FAILED
    assert "behind the newest record's" in found.found


def test_a_ledger_of_another_release_fails_and_is_left_alone(visit: Visit) -> None:
    with closing(open_ledger(visit.settings.ledger.url)) as ledger:
        assert look(visit, "ledger").outcome is Outcome.OK
        with ledger.engine.begin() as connection:
            connection.execute(update(schema_version).values(version=99))
    found = look(visit, "ledger")
    assert found.outcome is Outcome.FAILED
    assert "schema 99" in found.found
    (visit.settings.state_dir / "ledger.db").write_bytes(b"not a database, but longer than nothing" * 100)
    assert look(visit, "ledger").outcome is Outcome.FAILED


def test_the_service_is_told_of(visit: Visit) -> None:
    now = time.time()
    well = Status(pid=1, state="listening", written_at=now, polled_at=now, lag=0, hold=None, cycle=None)
    cases = {
        "running: listening": (well, Outcome.OK),
        "running: training": (Status(1, "training", now, now - 100, 0, None, None), Outcome.WARNING),
        "did not say": (Status(1, "listening", now - 100, now - 100, 0, None, None), Outcome.WARNING),
        "not running": (Status(1, STOPPED, now - 100, now - 100, 0, None, None), Outcome.OK),
    }
    for said, (status, outcome) in cases.items():
        write_status(visit.settings.status_file, status)
        found = look(visit, "service")
        assert (found.outcome, said in found.found) == (outcome, True), found


def partition(number: int, leader: int = 1, copies: int = 3, in_sync: int = 3) -> dict[str, object]:
    replicas, insync = list(range(copies)), list(range(in_sync))
    return {"partition_index": number, "leader_id": leader, "replica_nodes": replicas, "isr_nodes": insync}


@pytest.mark.parametrize(
    ("partitions", "outcome", "said"),
    [
        ([partition(0), partition(1)], "ok", "2, with 3 copies of each"),
        ([partition(0)], "warning", "one instance"),
        ([partition(0), partition(1, in_sync=2)], "warning", r"partitions \[1\] are behind"),
        ([partition(0, leader=-1), partition(1)], "failed", r"partitions \[0\] have no leader"),
    ],
)
def test_partitions_that_ail_are_told(
    visit: Visit, partitions: list[dict[str, object]], outcome: str, said: str
) -> None:
    visit.kafka, visit.described = visit.settings.kafka, partitions
    (check,) = (check for check in kafka_checks(visit) if check.name == "partitions")
    found = run(Check("partitions", check.look))["partitions"]
    assert found.outcome == outcome
    assert re.search(said, found.found)


def test_wrong_settings_are_the_only_line_and_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__TOPICC", "x")
    ended = CliRunner().invoke(app, ["doctor"])
    assert ended.exit_code == 2
    assert "RETRAINER_KAFKA__TOPICC: there is no such setting" in ended.stdout
    told = CliRunner().invoke(app, ["doctor", "--json"])
    assert told.exit_code == 2
    assert [check["name"] for check in json.loads(told.stdout)["checks"]] == ["settings"]


def test_without_a_cluster_what_is_about_it_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.doctor.brokers.BOOTSTRAP_MS", 300)
    settings = Settings(state_dir=tmp_path, kafka={"bootstrap_servers": ["127.0.0.1:9"]})
    results = {result.name: result for result in Examination(lambda: settings).results()}
    assert [name for name, result in results.items() if result.outcome is Outcome.FAILED] == ["Kafka"]
    assert "127.0.0.1:9" in results["Kafka"].found
    unused = {name for name, result in results.items() if result.found.startswith("not used")}
    assert unused == {
        "cluster",
        "API key",
        "versions",
        "project",
        "online store",
        "notification topic",
        "query service",
        "feature view",
        "online read",
    }


def test_setting_up_needs_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    ended = CliRunner().invoke(app, ["setup-hopsworks"])
    assert isinstance(ended.exception, SettingsError)
    assert "RETRAINER_HOPSWORKS__HOST" in str(ended.exception)
