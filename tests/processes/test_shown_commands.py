"""Every command that README.md and docs/*.md show is run, page by page, as a reader would type it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from retrainer.demo.broker import embedded_broker
from schemas.labels import LabelGroup, pair_text
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.integration.ray.cluster import two_nodes
from tests.processes.shown import table
from tests.processes.shown.commands import PAGES, Shown, shown, spoken, typed
from tests.processes.shown.forking import forking
from tests.processes.shown.others import NOT_RUN, others
from tests.processes.shown.stand import Page, copied, on_cluster, on_stand, prepare
from tests.processes.test_tutorial import free_port
from tests.unit.consumer.sending.receiver import receiving
from tests.unit.project.code import ROOT
from tests.unit.project.pages import named
from tests.worlds import GROUP, World, names

SHOWN = shown()


def put(one: Shown) -> str:
    """The command with what stands for its placeholders here."""
    text = one.text
    for texts in (table.INSTEAD.get(one.page, {}), table.INSTEAD["*"]):
        for placeholder, instead in texts.items():
            text = text.replace(placeholder, instead)
    return text.replace("{port}", free_port()) if "{port}" in text else text


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_broker(tmp_path_factory.mktemp("broker") / "broker.log") as address:
        yield address


@pytest.fixture(scope="module")
def retrainer() -> Iterator[str]:
    with TemporaryDirectory() as folder, forking(Path(folder)) as line:  # a socket has no room for a long path
        yield line


@pytest.fixture(scope="module")
def stand(broker: str, retrainer: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand")
    prepare(folder, broker, retrainer)
    return folder


@pytest.mark.full
@pytest.mark.timeout(2400)  # a page has up to thirty commands, and each is a process that imports much
@pytest.mark.parametrize("name", [name for name in SHOWN if name not in (*table.ON_A_CLUSTER, table.ON_RAY)])
def test_the_commands_of_a_page_do_what_the_page_says(
    name: str, stand: Path, broker: str, retrainer: str, tmp_path: Path
) -> None:
    folder = copied(stand, tmp_path / Path(name).stem)
    with receiving() as receiver:
        takes = receiver.url.removeprefix("http://")
        settings = {one: text.format(receiver=takes) for one, text in table.SETTINGS.get(name, {}).items()}
        with Page(folder, {**on_stand(folder, broker), **settings}, retrainer) as page:
            run(page, SHOWN[name])


@pytest.mark.full
@pytest.mark.timeout(2400)  # a page has up to thirty commands, and each is a process that imports much
@pytest.mark.parametrize("name", table.ON_A_CLUSTER)
def test_the_commands_of_a_page_about_a_cluster_do_what_it_says(
    name: str, tmp_path: Path, kafka_address: str, retrainer: str
) -> None:
    offline, labels = name == "docs/bridge.md", LabelGroup(name="follows")
    spec = ClusterSpec(
        group=GROUP,
        project=f"p{uuid4().hex[:8]}",
        online=not offline,
        ingestion_topic=f"onlinefs-{uuid4().hex[:8]}",
        notification_topic=None,
        labels=labels if name in ("docs/bridge.md", "docs/labels.md") else None,
        label_topic=None,
    )
    with HopsworksDouble(tmp_path / "cluster", spec, KafkaAccess(bootstrap_servers=kafka_address)) as double:
        double.store.put(World().rows(names(200)))
        if spec.labels is not None:
            double.labels.store.put({pair_text(("u1", "u2")): {"label": "follow", "labelled_at": 1_795_911_035_000}})
        settings = {**on_cluster(), **double.environment()}
        if offline:
            settings |= {"RETRAINER_KAFKA__BOOTSTRAP_SERVERS": kafka_address, "RETRAINER_KAFKA__SOURCE": "bridge"}
            settings |= {"RETRAINER_KAFKA__TOPIC": f"t-{uuid4().hex[:8]}"}
        folder = tmp_path / "page"
        folder.mkdir()
        with Page(folder, settings, retrainer) as page:
            run(page, SHOWN[name])


@pytest.mark.full
@pytest.mark.timeout(600)  # Ray takes half a minute for each node that starts on a busy machine
def test_the_commands_of_the_page_about_ray_do_what_it_says(
    stand: Path, broker: str, retrainer: str, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    folder, copies = copied(stand, tmp_path / "ray"), tmp_path / "copies"
    copies.mkdir()
    with two_nodes(copies) as nodes:
        ray = {"RETRAINER_ENGINE": "ray", "RETRAINER_RAY__ADDRESS": nodes.address, "RAY_AUTH_MODE": "disabled"}
        with Page(folder, {**on_stand(folder, broker), **ray}, retrainer) as page:
            run(page, SHOWN[table.ON_RAY])


def run(page: Page, commands: list[Shown]) -> None:
    """Run the commands of a page; all that went wrong is told at the end."""
    wrong, fails = [], dict(table.FAILS)
    for one in commands:
        if (one.page, one.text) in {*table.LEFT_OUT, *table.DONE_FOR}:
            continue
        if (one.page, one.text) in table.STOPPED:
            page.stop()
        if (before := table.BEFORE.get((one.page, one.text))) is not None:
            assert page.run(before).returncode == 0, before
        if one.beside == "retrainer run":
            page.serve()
            continue
        if one.beside in table.GOES_ON:
            try:
                page.start(put(replace(one, text=one.beside)), table.GOES_ON[one.beside])
                page.stop()
            except AssertionError as error:
                wrong.append(f"{one}\n{error}")
            continue
        if one.text.startswith("retrainer run "):  # with what reads its log behind it
            page.serve()
        command = put(one)
        done = page.run(command)
        says = fails.pop((one.page, one.text), None)
        if done.returncode != (0 if says is None else 1) or (says or "") not in done.stdout + done.stderr:
            wrong.append(
                f"{one}\n  as {command}\n  exit code {done.returncode}\n{done.stdout[-600:]}{done.stderr[-600:]}"
            )
    assert not wrong, "\n".join(wrong)


def test_commands_are_found_where_they_stand() -> None:
    readme = [one.text for one in SHOWN["README.md"]]
    assert readme[:1] == ["retrainer train --accept REFUSED_SHARE"]
    assert {"retrainer status", "retrainer backup FOLDER", "retrainer replay --last 2h"} <= set(readme)
    assert not any("#" in text for text in readme)
    replay = [one.text for one in SHOWN["docs/replay.md"]]
    assert 'retrainer replay --from "2h ago" --to -30m' in replay
    assert sum(map(len, SHOWN.values())) > 100


def test_lines_that_a_backslash_joins_are_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.project.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("    curl http://x/y \\\n        -d '{}'\n    retrainer status  # how it is\n")
    assert [one.text for one in typed(page)] == ["curl http://x/y -d '{}'", "retrainer status"]


def test_the_table_has_nothing_stale() -> None:
    everywhere = {(named(page), one.text) for page in PAGES for one in (*typed(page), *spoken(page))}
    to_run = {(one.page, one.text) for of_page in SHOWN.values() for one in of_page}
    for what in (table.LEFT_OUT, table.DONE_FOR, table.FAILS, table.BEFORE, table.STOPPED):
        assert set(what) - to_run == set()
    for (page, text), other in table.DONE_FOR.items():
        assert other not in {page, *table.ON_A_CLUSTER}
        there = [put(one) for one in SHOWN[other] if (one.page, one.text) not in {*table.LEFT_OUT, *table.DONE_FOR}]
        assert put(Shown(page, 0, text)) in there, f"{other} does not show `{text}` of {page} any more"
    assert set(table.GOES_ON) - {one.beside for of_page in SHOWN.values() for one in of_page} == set()
    for page, texts in table.INSTEAD.items():
        of_page = [text for where, text in everywhere if page in ("*", where)]
        assert [one for one in texts if not any(one in text for text in of_page)] == [], page
    assert {*table.SETTINGS, *table.ON_A_CLUSTER, table.ON_RAY} - set(SHOWN) == set()


def test_what_is_not_run_of_other_programs_is_listed_with_its_reason() -> None:
    """Make, containers, cron, installs and the like: each line that a page shows has an entry, no entry is stale."""
    shown_lines = list(others())
    assert [str(one) for one in shown_lines if one.text not in NOT_RUN] == []
    assert set(NOT_RUN) - {one.text for one in shown_lines} == set()
    named_tests = {path for reason in NOT_RUN.values() for path in re.findall(r"(?:tests/|\.ci/)[\w/.]*\w", reason)}
    assert [path for path in named_tests if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "line",
    ["    make new", "```\ndocker compose \\\n  up\n```", "say `podman ps -a`", "    15 */2 * * 1-5  retrainer status"],
)
def test_a_line_of_another_program_is_seen(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{line}\n")
    monkeypatch.setattr("tests.unit.project.pages.ROOT", tmp_path)
    monkeypatch.setattr("tests.processes.shown.others.PAGES", [page])
    assert len(list(others())) == 1
