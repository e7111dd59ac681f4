"""The doctor's order, deadlines, lines and exit codes; nothing here needs a cluster or a broker."""

from __future__ import annotations

import io
import json
import os
import threading
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from consumer.errors import SettingsError
from consumer.settings import Settings
from retrainer.cli import app
from retrainer.doctor.checks import Check, CheckFailed, Finding, Result, Severity, failed, ok, skipped, warning
from retrainer.doctor.context import CheckContext
from retrainer.doctor.examination import Examination
from retrainer.doctor.group import group_checks
from retrainer.doctor.report import Report, as_json
from retrainer.doctor.runner import Runner
from stores.errors import ClusterUnreachable
from stores.features.local import LocalFeatureStore
from tests.hostile import HOSTILE, steering
from tests.waiting import within

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
    assert [result.severity for result in results.values()] == ["failed", "skipped", "skipped", "ok", "skipped"]
    assert [results[name].found for name in "bce"] == ["needs a"] * 3


def test_a_warning_does_not_hold_up_what_comes_after_and_what_was_skipped_does() -> None:
    results = run(
        Check("a", lambda: warning("so so", "look")),
        Check("b", lambda: ok("fine"), needs=("a",)),
        Check("c", lambda: skipped("not used")),
        Check("d", lambda: ok("fine"), needs=("c",)),
    )
    assert results["b"].severity is Severity.OK
    assert (results["d"].severity, results["d"].found) == (Severity.SKIPPED, "needs c")


def test_whatever_a_check_raises_is_a_failure_in_one_line_with_something_to_do() -> None:
    results = run(
        Check("trouble", lambda: raising(CheckFailed("it is off", "switch it on"))),
        Check("ours", lambda: raising(ClusterUnreachable("log in: no answer")), todo="wait"),
        Check("settings", lambda: raising(SettingsError("RETRAINER_X: wrong"))),
        Check("odd", lambda: raising(KeyError("two\nlines"))),
        Check("exit", lambda: raising(SystemExit(3))),
        Check("long", lambda: raising(ValueError("x" * 5000))),
    )
    assert all(result.severity is Severity.FAILED and result.todo for result in results.values())
    assert (results["trouble"].found, results["trouble"].todo) == ("it is off", "switch it on")
    assert (results["ours"].found, results["ours"].todo) == ("log in: no answer", "wait")
    assert results["odd"].found == r"unexpected KeyError: 'two\nlines'"
    assert len(results["long"].found) == 400


def test_a_check_that_hangs_fails_at_its_deadline_and_the_others_go_on() -> None:
    released = threading.Event()
    runner = Runner(20.0, lambda text: text)
    checks = [
        Check("hangs", lambda: ok(str(released.wait(300))), deadline=0.2, todo="cut the rope"),
        Check("next", lambda: ok("fine")),
    ]
    with within(5):
        hangs, following = runner.run(checks)
    assert (hangs.severity, hangs.todo) == (Severity.FAILED, "cut the rope")
    assert following.severity is Severity.OK
    assert runner.hanging
    released.set()
    for thread in threading.enumerate():
        if thread.name == "doctor-hangs":
            thread.join(5)
    assert not runner.hanging


def test_all_checks_together_have_a_deadline() -> None:
    released = threading.Event()
    checks = [Check(str(number), lambda: ok(str(released.wait(300))), deadline=10.0) for number in range(5)]
    with within(5):
        results = run(*checks, budget=0.3)
    released.set()
    assert results["0"].severity is Severity.FAILED
    assert [results[str(number)].severity for number in range(1, 5)] == [Severity.SKIPPED] * 4
    assert "no time" in results["4"].found


def test_what_is_found_and_what_to_do_are_redacted() -> None:
    runner = Runner(5.0, lambda text: text.replace("hunter2", "[hidden]"))
    (result,) = runner.run([Check("a", lambda: raising(CheckFailed("key hunter2", "not hunter2")))])
    assert (result.found, result.todo) == ("key [hidden]", "not [hidden]")


RESULTS = [
    Result("settings", Severity.OK, "all there"),
    Result("notification topic", Severity.FAILED, "none", "retrainer setup-hopsworks"),
    Result("disk", Severity.WARNING, "little", "make room"),
    Result("topic", Severity.SKIPPED, "needs notification topic"),
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


@pytest.mark.parametrize("text", HOSTILE.values())
def test_an_answer_of_a_server_is_one_line_and_steers_nothing(text: str) -> None:
    written = io.StringIO()
    report = Report(Console(file=written, width=40))
    (result,) = Runner(5.0, lambda text: text).run([Check("a", lambda: failed(text, text))])
    report.line(result)
    assert steering(written.getvalue()) == []
    assert len(written.getvalue().splitlines()) == 2
    written.seek(0)
    report.line(Result("b", Severity.FAILED, text, text))
    assert steering(written.getvalue()) == []


def test_a_console_that_knows_ascii_alone_gets_ascii() -> None:
    assert [line[:2] for line in lines("ascii") if line[0] != " "] == ["+ ", "x ", "! ", "- ", "1 "]


def test_json_has_every_check_and_one_word_for_all() -> None:
    told = as_json(RESULTS)
    assert told["ok"] is False
    assert told["checks"][1] == {
        "name": "notification topic",
        "severity": "failed",
        "found": "none",
        "todo": "retrainer setup-hopsworks",
    }
    assert told["checks"][0]["todo"] is None
    assert as_json([result for result in RESULTS if result.severity is not Severity.FAILED])["ok"] is True


def test_wrong_settings_are_the_only_line_and_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__TOPICC", "x")
    ended = CliRunner().invoke(app, ["doctor"])
    assert ended.exit_code == 2
    assert "RETRAINER_KAFKA__TOPICC: there is no such setting" in ended.stdout
    told = CliRunner().invoke(app, ["doctor", "--json"])
    assert told.exit_code == 2
    assert [check["name"] for check in json.loads(told.stdout)["checks"]] == ["settings"]


def test_what_hangs_does_not_hold_up_the_end_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(Examination, "hanging", True)
    monkeypatch.setenv("RETRAINER_KAFKA__TOPICC", "x")
    CliRunner().invoke(app, ["doctor"])
    assert ended == [2]


def test_without_a_cluster_what_is_about_it_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrainer.doctor.brokers.BOOTSTRAP_MS", 300)
    settings = Settings(state_dir=tmp_path, kafka={"bootstrap_servers": ["127.0.0.1:9"]})
    results = {result.name: result for result in Examination(lambda: settings).results()}
    failures = [name for name, result in results.items() if result.severity is Severity.FAILED]
    assert failures == ["feature group", "Kafka"]  # there is no store yet
    assert "127.0.0.1:9" in results["Kafka"].found
    unused = {name for name, result in results.items() if result.unused}
    assert all(results[name].found.startswith("not used") for name in unused)
    written = io.StringIO()
    report = Report(Console(file=written, width=200))
    for result in results.values():
        report.line(result)
    report.summary(results.values())
    assert "not used" not in written.getvalue()
    assert "9 skipped" not in written.getvalue()
    assert {check["name"] for check in as_json(results.values())["checks"]} >= unused
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


def test_a_local_store_is_looked_at_and_not_made(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    context = CheckContext(settings)

    def found() -> Result:
        (result,) = run(*group_checks(context)).values()
        return result

    assert (found().severity, str(tmp_path / "feature_store.db") in found().found) == (Severity.FAILED, True)
    assert "RETRAINER_FEATURE_STORE__PATH" in str(found().todo)
    assert not list(tmp_path.iterdir())
    with closing(LocalFeatureStore(tmp_path / "feature_store.db", settings.feature_group)) as store:
        store.commit({})
        assert (found().severity, "holds no users" in found().found) == (Severity.FAILED, True)
        sound = {column.name: [1.0] * column.length for column in settings.feature_group.columns}
        store.commit({"u1": sound})
        assert (found().severity, "and 1 users" in found().found) == (Severity.OK, True)
        store.commit({"u2": {}})
        assert (found().severity, "refuse 1 of 2 rows: genre_embedding is missing (1)" in found().found) == (
            Severity.WARNING,
            True,
        )
        store.commit({name: {**sound, "artist_embedding": [1.0] * 8} for name in ("u1", "u2")})
        assert found().severity is Severity.FAILED
        assert "refuse every one of 2 rows: artist_embedding has 8 numbers, not 100 (2)" in found().found
        assert "RETRAINER_FEATURE_GROUP__COLUMNS" in str(found().todo)
    other = settings.feature_group.model_copy(update={"version": 2})
    context = CheckContext(settings.model_copy(update={"feature_group": other}))
    assert found().severity is Severity.FAILED
    assert "has no table spotify_user_embeddings_2 (it has spotify_user_embeddings_1)" in found().found


def test_setting_up_needs_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    ended = CliRunner().invoke(app, ["setup-hopsworks"])
    assert isinstance(ended.exception, SettingsError)
    assert "RETRAINER_HOPSWORKS__HOST" in str(ended.exception)
