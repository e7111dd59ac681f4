"""What commands write fits its screen, its encoding and its reader; and what a stranger wrote stays text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.errors import KafkaError
from rich.cells import cell_len
from sqlalchemy.exc import OperationalError

from consumer.cycles.leadership import Leadership
from consumer.dead_letters.letter import DeadLetter
from consumer.errors import ConsumerError, SettingsError
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.positions import Partition, Position
from consumer.status import Status, write_status
from retrainer.cli.output import facts, listing
from retrainer.cli.train import report_cycle
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.events import Operation
from stores.errors import ClusterError
from tests.commands import call
from tests.hostile import HOSTILE, steering
from tests.models.versions import a_version

COMMANDS = (["status"], ["dead-letters", "list"], ["dead-letters", "show", "1"], ["versions"])


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ledger]:
    folder = tmp_path / "[blue]state[/]"
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(folder))
    monkeypatch.delenv("COLUMNS", raising=False)
    opened = open_ledger(f"sqlite:///{folder / 'ledger.db'}")
    yield opened
    opened.close()


def fill(ledger: Ledger, text: str, letters: int = 1) -> None:
    """A ledger in which every text that may come from outside is this one."""
    storable = text.encode(errors="backslashreplace").decode().replace("\0", "")
    place = Partition(f"t{storable}", 0)
    ledger.intake.start_at({place: 0}, time.time())
    batch = Batch(received_at=time.time(), progress={place: (0, letters)}, events={place: letters})
    for number in range(letters):
        position = Position(place.topic, 0, number)
        headers = ((storable, text.encode(errors="surrogatepass")), (f"key\n{storable}", None))
        value = text.encode(errors="backslashreplace")
        batch.dead.append(DeadLetter(position, time.time(), value, value, headers, "decode", f"no event: {text}"))
    batch.add(storable or "u", Operation.UPSERT, f"{place.topic}[0]@0", time.time())
    batch.ignored[place, f"another {storable}"] = 3
    ledger.intake.record(batch)
    leader = Leadership(ledger.leases, "a", 15.0)
    leader.holds(time.time())
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, storable, time.time(), fence=leader.fence)
    assert claim is not None
    result = CycleResult(
        cycle_id=claim.cycle_id,
        outcome=Outcome.HELD,
        reason=text,
        way_out=text,
        asks_full=storable or None,
        base_version=None,
    )
    ledger.cycles.settle(result, time.time(), fence=leader.fence)


@pytest.mark.full
@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_that_a_stranger_wrote_steers_or_forges_a_line(ledger: Ledger, what: str) -> None:
    fill(ledger, HOSTILE[what])
    for arguments in COMMANDS:
        for encoding in ("utf-8", "ascii", "latin-1"):
            told = call(*arguments, encoding=encoding)
            assert (told.code, told.err) == (0, ""), (arguments, told)
            assert steering(told.out) == [], arguments
            assert not any(line.startswith("retrainer:") for line in told.out.splitlines())
    shown = call("dead-letters", "show", "1").out.splitlines()
    assert [line for line in shown if line.startswith("status")] == ["status    open"]
    assert len([line for line in shown if line.startswith("header")]) == 2
    (row, count) = call("dead-letters", "list").out.splitlines()[1:]
    assert row.startswith("1 ")
    assert count == "1 open of stage decode"
    assert call("dead-letters", "discard", "1", "--reason", f"x{HOSTILE[what]}").out == "1 discarded\n"
    settled = call("dead-letters", "show", "1")
    assert (settled.code, steering(settled.out)) == (0, [])


@pytest.mark.parametrize("what", HOSTILE)
def test_for_machines_it_stays_exact_and_ascii(ledger: Ledger, what: str) -> None:
    fill(ledger, HOSTILE[what])
    (row,) = json.loads(call("dead-letters", "list", "--json", encoding="ascii").out)
    stored = HOSTILE[what].encode(errors="backslashreplace").decode().replace("\0", "\\x00")
    assert row["reason"] == f"no event: {stored}"
    told = json.loads(call("status", "--json", encoding="ascii").out)
    assert told["held"]["way_out"] == HOSTILE[what]


@pytest.mark.parametrize("what", HOSTILE)
def test_what_somebody_typed_is_no_exception(ledger: Ledger, what: str) -> None:
    text = HOSTILE[what].replace("\0", "")
    fill(ledger, "x")
    for arguments in (
        [f"x{text}"],
        ["status", f"--{text}"],
        ["status", text],
        ["dead-letters", "show", text],
        ["dead-letters", f"x{text}"],
        ["dead-letters", "list", "--stage", text],
        ["dead-letters", "list", "--since", text],
        ["train", "--accept", text],
    ):
        told = call(*arguments)
        assert told.code == 2, (arguments, told)
        assert steering(told.out + told.err) == []
        assert told.err.startswith("retrainer: ")


def test_on_80_columns_no_line_is_longer_and_every_letter_can_be_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger, "what it says is long enough for several lines of a terminal " * 3, letters=3)
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in COMMANDS:
        lines = call(*arguments).out.splitlines()
        assert max(map(cell_len, lines)) <= 80 or arguments[1:2] == ["show"], lines
    listed = call("dead-letters", "list").out
    assert "what it says is long enough for several lines of a" in listed
    assert "…" not in listed


def test_in_a_pipe_every_row_is_one_line_and_nothing_is_cut(ledger: Ledger) -> None:
    reason = "a very long reason " * 20
    fill(ledger, reason, letters=5)
    lines = call("dead-letters", "list").out.splitlines()
    assert len(lines) == 5 + 2
    assert all(line.endswith(f"no event: {reason}".rstrip()) for line in lines[1:-1])
    assert [line for line in call("status").out.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("columns", ["", "60", "80", "100", "140", "200"])
def test_versions_fit_their_screen(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, columns: str, labels: bool) -> None:
    found = [a_version(number, champion=number == 12, labels=labels) for number in range(1, 13)]
    monkeypatch.setattr(type(ledger.views), "versions", lambda _self, *_more, **_named: found)
    monkeypatch.setenv("COLUMNS", columns)
    lines = call("versions").out.splitlines()
    assert all(cell_len(line) <= int(columns or 1000) for line in lines), lines
    rows = [line for line in lines if line.startswith("12 *")]
    assert len(rows) == 1
    figure = "0.6543" if labels else "0.9876"
    assert figure in rows[0]
    assert "2026-11-24 08:00" in rows[0]
    if not columns:
        assert rows[0].endswith("500 users changed, [as] the trigger's limit says")
        assert len([line for line in lines if line[0].isdigit()]) == 12


def test_a_column_is_as_wide_as_its_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    listing(("id", "users", "why"), [("1", "5", "世界"), ("22", "12345", "x")], right={"users"})
    assert capsys.readouterr().out.splitlines() == [
        "id  users  why",
        "1       5  世界",
        "22  12345  x",
    ]


def test_where_there_is_hardly_room_a_value_stands_under_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    facts({"ledger": "/a/path/that/is/longer/than/a/line", "lag": "none"})
    assert capsys.readouterr().out.splitlines() == [
        "ledger",
        "    /a/path/that/is/",
        "    longer/than/a/li",
        "    ne",
        "lag",
        "    none",
    ]


def test_words_for_wrong_usage(ledger: Ledger) -> None:
    fill(ledger, "x")
    told = call("dead-letters", "list", "--stage", "decod")
    assert (told.code, told.out) == (2, "")
    assert all(stage in told.err for stage in ("'decod'", "decode", "fetch", "gap", "size"))
    assert "did you mean status?" in call("statsu").err
    assert "there are init, run, demo, import, train" in call("frobnicate").err
    assert "--json" in call("status", "--jsn").err
    assert "'list'" in call("dead-letters", "lst").err
    for told in (call("statsu"), call("status", "--jsn"), call("status", "more"), call("dead-letters", "lst")):
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
        assert "--help`" in told.err
    assert call("--version").out.startswith("retrainer ")
    assert (call("--version").code, call("--help").code, call("status", "--help").code) == (0, 0, 0)
    assert call().code == 2
    assert "Usage" in call().out


def test_what_the_service_noticed_is_in_its_status(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger, "x")
    now = time.time()
    told = Status(pid=1, state="listening", written_at=now, polled_at=now, lag=0, hold=None, cycle=None, notice="a\nb")
    write_status(tmp_path / "[blue]state[/]" / "status.json", told)
    shown = call("status").out.splitlines()
    at = next(number for number, line in enumerate(shown) if line.startswith("notice"))
    assert (shown[at].split(), shown[at + 1].split()) == (["notice", "a"], ["b"])
    assert json.loads(call("status", "--json").out)["notice"] == "a\nb"


def test_what_the_ledger_says_when_it_cannot_be_used_is_a_line(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_more: object) -> None:
        raise OperationalError("SELECT 'secret statement'", {}, Exception("disk I/O error\x1b[2J\nretrainer: fine"))

    monkeypatch.setattr(type(ledger.views), "backlog", refusing)
    told = call("status")
    assert (told.code, told.out) == (1, "")
    assert told.err == "retrainer: the ledger: disk I/O error\\x1b[2J\n  retrainer: fine\n"


def test_the_narrowest_terminal_shows_all_that_there_is(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(ledger, "it says this")
    monkeypatch.setenv("COLUMNS", "1")
    told = call("dead-letters", "list")
    assert told.code == 0
    assert "noevent:itsaysthis" in "".join(told.out.split())
    assert max(map(cell_len, told.out.splitlines()[:-1])) <= 20


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("kind", [ConsumerError, SettingsError, KafkaError, ClusterError])
def test_the_words_of_an_error_steer_nothing(monkeypatch: pytest.MonkeyPatch, what: str, kind: type[Exception]) -> None:
    def failing() -> None:
        raise kind(HOSTILE[what])

    monkeypatch.setattr("retrainer.cli.setup_hopsworks.setup_hopsworks", failing)
    told = call("setup-hopsworks")
    assert (told.code, told.out, steering(told.err)) == (2 if kind is SettingsError else 1, "", [])
    if kind is not SettingsError:
        assert [line for line in told.err.splitlines() if line.startswith("retrainer:")] == [told.err.splitlines()[0]]


@pytest.mark.parametrize("what", HOSTILE)
def test_the_end_of_a_cycle_is_told_in_lines_of_ours(capsys: pytest.CaptureFixture[str], what: str) -> None:
    text = HOSTILE[what]
    result = {"version": 3, "reason": text, "way_out": text, "asks_full": text}
    report_cycle({"cycle_id": "c1", "kind": "full", "state": "registered", "result": result})
    told = capsys.readouterr().out
    assert steering(told) == []
    assert [line.split()[0] for line in told.splitlines() if line and line[0] != " "] == ["cycle", "to", "a"]
