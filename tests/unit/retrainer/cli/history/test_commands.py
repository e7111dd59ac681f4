"""`cycles`, `show`, `diff` and `versions --sort` on a short past: what they say, on any screen, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len
from sqlalchemy import update

from consumer.database.tables import cycles, versions
from consumer.ledger.ledger import Ledger, open_ledger
from retrainer.cli.history.words import Figure
from schemas.cycle import Metrics
from schemas.manifest import MANIFEST_FILE
from tests.commands import call
from tests.hostile import HOSTILE, steering
from tests.unit.retrainer.cli.history.past import GOLDEN, short_past

COMMANDS = (["cycles"], ["show", "last"], ["show", "champion"], ["show", "c2"], ["diff", "1", "2"], ["diff", "c2", "2"])


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ledger]:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


def lines(*arguments: str) -> list[str]:
    told = call(*arguments)
    assert (told.code, told.err) == (0, ""), told
    return told.out.splitlines()


def test_cycles_are_listed_newest_first_with_their_figures(ledger: Ledger) -> None:
    ids = short_past(ledger)
    head, *rows = lines("cycles")
    assert [row.split()[0] for row in rows[:4]] == ids[::-1]
    assert rows[0].split()[2] == "running"
    held = dict(zip(head.split("  "), rows[2].split("  "), strict=False))
    assert held["cycle"] == ids[1]
    assert rows[1].split()[2:5] == ["registered", "1", "2"]
    assert rows[2].split()[2] == "held"
    assert {"refused", "deleted", "read", "took"} <= set(head.split())
    assert rows[1].endswith("enough users changed; enough users changed, and more")
    assert [line.split()[0] for line in lines("cycles", "--outcome", "held")[1:2]] == [ids[1]]
    assert [line.split()[0] for line in lines("cycles", "--kind", "bootstrap")[1:2]] == [ids[0]]
    assert lines("cycles", "--limit", "1")[-1] == "there are earlier ones: --limit shows more"
    assert lines("cycles", "--outcome", "failed") == ["no such cycle is on record"]
    found = json.loads(call("cycles", "--json", "--limit", "2").out)
    assert [one["cycle_id"] for one in found] == ids[:1:-1]
    assert found[1]["result"]["seconds"]["fit"] > 0
    assert found[1]["version"]["promotions"][0]["until"] is None


def test_cycles_since_a_time(ledger: Ledger) -> None:
    ids = short_past(ledger)
    assert [line.split()[0] for line in lines("cycles", "--since", "1970-01-01T01:00")[1:2]] == [ids[3]]
    assert call("cycles", "--since", "yesterday").code == 2


def test_where_nothing_has_run_it_says_so(ledger: Ledger) -> None:
    assert lines("cycles") == ["no cycle has run yet"]
    told = call("show", "1")
    assert (told.code, told.err) == (1, "retrainer: no cycle has run yet, so there is no '1'\n")


def test_a_version_is_shown_with_all_that_is_on_record(ledger: Ledger) -> None:
    short_past(ledger)
    told = "\n".join(lines("show", "champion"))
    for part in ("Version 2", "Events", "Data", "Fit", "Guard", "Figures", "Gate", "Slices", "Seconds", "Packages"):
        assert f"\n{part}" in told, part
    assert "t[0] 3 to 8" in told  # the held cycle has left its offsets
    assert "gate.draws          " in told
    assert "tensorflow" in told
    assert "keep 0.934 of its recall@10" in told
    assert "champion from" in told


def test_a_held_cycle_is_shown_with_its_way_out_and_a_running_one_with_what_is_known(ledger: Ledger) -> None:
    short_past(ledger)
    held = "\n".join(lines("show", "c2"))
    assert "to do    mend the rows" in held
    assert "given back" in held
    running = lines("show", "last")
    assert any("still running" in line for line in running)
    assert running[-1] == "settings and packages are not known: the cycle is still running"
    assert json.loads(call("show", "c2", "--json").out)["result"]["way_out"] == "mend the rows"


def test_a_difference_names_only_what_differs(ledger: Ledger) -> None:
    short_past(ledger)
    found = json.loads(call("diff", "1", "2", "--json").out)
    assert found["settings"] == {"gate.draws": {"a": 200, "b": 300, "difference": 100}}
    assert found["packages"] == {}
    assert found["data"]["known users"] == {"a": 400, "b": 402, "difference": 2}
    assert found["data"]["offsets of t[0]"] == {"a": "0 to 2", "b": "3 to 8"}
    told = lines("diff", "1", "2")
    assert "gate.draws  200 -> 300 (+100)" in told
    assert "outcome" not in "".join(told)
    assert lines("diff", "2", "champion") == ["version 2 and version 2 differ in nothing that is on record"]


def test_settings_of_an_earlier_release_are_those_of_the_manifest(ledger: Ledger, tmp_path: Path) -> None:
    short_past(ledger)
    with ledger.engine.begin() as connection:
        for row in connection.execute(cycles.select().where(cycles.c.result.is_not(None))).all():
            if row.result:
                result = {name: value for name, value in row.result.items() if name not in {"settings", "packages"}}
                connection.execute(update(cycles).where(cycles.c.number == row.number).values(result=result))
    assert "its manifest cannot be read" in lines("show", "1")[-1]
    assert "registered no version" in lines("show", "c2")[-1]
    folder = tmp_path / "registry" / "two_tower_recommender" / "1"
    folder.mkdir(parents=True)
    (folder / MANIFEST_FILE).write_text((GOLDEN / "model_manifest.json").read_text())
    told = "\n".join(lines("show", "1"))
    assert "scikit-learn 1.9.1" in told
    assert "fit.dropout" in told
    assert lines("diff", "1", "2")[-1].startswith("settings and packages are not compared; version 2: its manifest")
    with ledger.engine.begin() as connection:
        connection.execute(update(versions).where(versions.c.version == 1).values(deleted_at=5.0))
    told = "\n".join(lines("show", "1"))
    assert "deleted with it" in told
    assert "from the registry, at 1970-01-01 00:00:05 UTC" in told


@pytest.mark.full
@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_that_a_stranger_wrote_steers_a_terminal(ledger: Ledger, what: str) -> None:
    short_past(ledger, HOSTILE[what].encode(errors="backslashreplace").decode().replace("\0", ""))
    for arguments in (["cycles"], ["show", "2"], ["diff", "c2", "2"]):
        told = call(*arguments)
        assert (told.code, steering(told.out)) == (0, []), arguments
        assert not any(line.startswith("retrainer:") for line in told.out.splitlines())
    name = HOSTILE[what].replace("\0", "")
    told = call("show", name)
    assert (told.code, steering(told.err)) == (1, [])


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_no_line_is_longer_than_the_screen(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    short_past(ledger)
    monkeypatch.setenv("COLUMNS", columns)
    for arguments in COMMANDS:
        for line in lines(*arguments):
            if not line.startswith("settings and packages"):
                assert cell_len(line) <= int(columns), (arguments, line)


def test_versions_can_be_sorted_by_every_figure(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    short_past(ledger)
    assert {figure.value for figure in Figure} == set(Metrics.model_fields)
    monkeypatch.setenv("COLUMNS", "80")
    for figure in Figure:
        rows = [line.split()[0] for line in lines("versions", "--sort", figure) if line[0].isdigit()]
        assert sorted(rows) == ["1", "2"]
    assert "F1" not in lines("versions", "--sort", "f1")[0]
    assert "f1" in lines("versions", "--sort", "f1")[0]
    assert lines("versions", "--sort", "recall_at_10", "--limit", "1")[-1] == "and 1 other ones: --limit 2 shows all"
    assert [one["version"] for one in json.loads(call("versions", "--sort", "auc", "--json").out)] == [2, 1]
    assert call("versions", "--sort", "luck").code == 2


def test_a_version_that_did_not_stay_says_so_in_a_word(ledger: Ledger) -> None:
    short_past(ledger)
    with ledger.engine.begin() as connection:
        of = update(versions).where(versions.c.version == 1)
        connection.execute(of.values(not_promoted="version 1 is pinned by ann"))
    assert lines("versions", "--limit", "2")[2].startswith("1 barred ")
    assert any("`retrainer show VERSION` says what" in line for line in lines("versions"))
    with ledger.engine.begin() as connection:
        connection.execute(of.values(withdrawn=True))
    assert lines("versions")[2].startswith("1 withdrawn ")
    assert not any("barred" in line for line in lines("versions"))
    (first, second) = json.loads(call("versions", "--json").out)
    assert (first["withdrawn"], first["not_promoted"]) == (True, "version 1 is pinned by ann")
    assert (second["withdrawn"], second["not_promoted"], second["deleted_at"]) == (False, None, None)
    with ledger.engine.begin() as connection:
        connection.execute(of.values(deleted_at=7.0))
    assert lines("versions")[2].startswith("1 deleted ")
    told = "\n".join(lines("show", "1"))
    assert "not promoted  version 1 is pinned by ann" in told
    assert "withdrawn     by a rollback" in told
    assert "deleted       from the registry, at 1970" in told
    shown = json.loads(call("show", "1", "--json").out)["version"]
    assert (shown["withdrawn"], shown["deleted_at"]) == (True, "1970-01-01T00:00:07+00:00")
