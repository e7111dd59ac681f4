"""`retrainer demo` and `retrainer simulate` as a person calls them, with the real service and its trainers."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from retrainer.demo.plan import Plan, inherited
from schemas.features import FeatureGroup
from schemas.log_events.bridge import NO_MORE_WAVES
from schemas.log_events.cycles import CYCLE_ENDED
from schemas.log_events.service import SERVICE_STOPPED
from schemas.manifest import ModelManifest
from stores.features.local import LocalFeatureStore
from tests.log_lines import departures

RETRAINER = [sys.executable, "-m", "retrainer.cli"]


@pytest.fixture(scope="module")
def broker(tansu_address: str) -> str:
    return tansu_address


@pytest.mark.full
def test_the_demo_shows_the_real_loop(tmp_path: Path) -> None:
    """A first version and three waves: follows to learn from, corrupt rows, and a wave that mends them."""
    state = tmp_path / "demo"
    ours = {**os.environ, "RETRAINER_KAFKA__TOPIC": "somebody-elses-topic"}
    command = [*RETRAINER, "demo", "--users", "500", "--waves", "3", "--state", str(state)]
    done = subprocess.run(command, env=ours, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "500 new users, 500 new follows in the feature store, 1,000 events published" in done.stdout
    assert "before anything is learned: version 1, asked about" in done.stdout
    assert "125 rows refused" in done.stdout
    log = [json.loads(line) for line in (state / "service.log").read_text().splitlines() if line.startswith("{")]
    assert departures(log) == []
    ends = [line for line in log if line["event"] == CYCLE_ENDED]
    assert [end["kind"] for end in ends] == ["bootstrap", *["incremental"] * 3]
    assert {ends[at]["outcome"] for at in (1, 3)} <= {"registered", "unchanged", "rejected", "inconclusive"}
    assert (ends[0]["outcome"], ends[2]["outcome"]) == ("registered", "held")
    assert "of 125 users read 100 % were refused, more than the limit of 10 %" in ends[2]["reason"]
    assert (
        ends[3]["pairs_after"] == ends[3]["pairs_before"] == ends[1]["pairs_after"]
    )  # the bug has left nothing behind
    closing_words = " ".join(done.stdout[done.stdout.index("what became of it") :].split())
    for end in ends:  # what is told is what was logged
        figure = end.get("outcome_auc" if end["outcome"] == "registered" else "champion_outcome_auc")
        assert (f"{figure:.3f}" if figure else f"wave 2 held: {end['reason']}") in closing_words
    assert "retrainer train --accept REFUSED_SHARE" in closing_words
    assert "1 cycle held" in closing_words
    versions = [end["version"] for end in ends if end["version"] is not None]
    manifests = {path.parent.name: path for path in (state / "registry").glob("*/*/manifest.json")}
    assert sorted(manifests) == [str(version) for version in versions]
    assert ModelManifest.model_validate_json(manifests["1"].read_bytes()).kind == "bootstrap"
    assert log[-1]["event"] == SERVICE_STOPPED
    told = done.stdout[done.stdout.index("Look around") :]
    look = re.search(r"\((\. \S+demo\.env); retrainer versions\)", told)
    assert look is not None
    listing = f"{look[1]}; exec '{sys.executable}' -m retrainer.cli versions --json"
    shown = subprocess.run(["sh", "-c", listing], capture_output=True, text=True, check=True).stdout
    assert all(f'"version": {version}' in shown or f'"version":{version}' in shown for version in versions)


def test_what_a_demo_cannot_do_it_says_at_once(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    refused = subprocess.run(
        [*RETRAINER, "demo", "--state", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "holds files that are not a demo's" in refused.stderr
    no_log = tmp_path / "thesis.tex"
    command = [*RETRAINER, "demo", "--state", str(tmp_path / "demo"), "--data", str(no_log)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "is not a listening log" in refused.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_simulator_runs_until_it_is_told_to_stop(broker: str, tmp_path: Path, stop: signal.Signals) -> None:
    settings = {**Plan(state=tmp_path).settings(broker), "RETRAINER_KAFKA__TOPIC": stop.name}
    command = [*RETRAINER, "simulate", "--users", "200", "--interval", "0.01"]
    environment = inherited(os.environ, settings)
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.send_signal(stop)
        process.stdout.read()
        assert process.wait() == 0
    assert [line["wave"] for line in told] == [0, 1, 2, 3]
    assert (told[0]["new"], told[0]["follows"], told[0]["events"]) == (200, 200, 400)
    assert told[2]["deleted"] > 0
    with closing(LocalFeatureStore(tmp_path / "feature_store.db", FeatureGroup())) as store:
        assert 150 < store.count() < 250


@pytest.mark.full
def test_a_simulator_that_is_asked_commits_one_wave_a_line_and_ends_with_its_input(broker: str, tmp_path: Path) -> None:
    settings = {**Plan(state=tmp_path).settings(broker), "RETRAINER_KAFKA__TOPIC": "asked"}
    command = [*RETRAINER, "simulate", "--users", "200", "--on-demand", "--bug-wave", "2"]
    environment = inherited(os.environ, settings)
    done = subprocess.run(command, env=environment, input="\n\n", capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["wave"], line["users"], line["changed"]) for line in told] == [
        (0, 200, 0),
        (1, 200, 0),
        (2, 200, 50),
    ]
    assert "upstream bug" in told[2]["title"]
    again = subprocess.run(command, env=environment, input="\n", capture_output=True, text=True, check=True)
    found, mended = (json.loads(line) for line in again.stdout.splitlines())
    assert (found["wave"], mended["wave"], mended["changed"]) == (2, 3, 50)
    assert "mended" in mended["title"]


@pytest.mark.full
def test_a_listening_log_is_told_to_its_end(broker: str, tmp_path: Path) -> None:
    """Nothing but reports on standard output, and the end of the log is the end of the simulator."""
    plays = tmp_path / "plays.dat"
    plays.write_text(
        "".join(f"u{user}\ta{(user * 7 + at) % 300}\t{at + 1}\n" for user in range(300) for at in range(10))
    )
    settings = Plan(state=tmp_path, data=plays).settings(broker) | {"RETRAINER_KAFKA__TOPIC": "log"}
    command = [*RETRAINER, "simulate", "--data", str(plays), "--interval", "0"]
    done = subprocess.run(command, env=inherited(os.environ, settings), capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["wave"] for line in told] == list(range(len(told)))
    assert told[-1]["users"] == 300 - sum(line["deleted"] for line in told)
    assert NO_MORE_WAVES in done.stderr


def test_listeners_that_do_not_fit_the_feature_group_are_refused(broker: str, tmp_path: Path) -> None:
    settings = Plan(state=tmp_path, data=tmp_path / "real.dat").settings(broker)
    command = [*RETRAINER, "simulate", "--users", "200", "--waves", "1"]
    refused = subprocess.run(command, env=inherited(os.environ, settings), capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "the feature group is set to listening_embedding (100)" in refused.stderr
