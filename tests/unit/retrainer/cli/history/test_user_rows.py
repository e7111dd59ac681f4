"""What became of a user, in words: every state that the ledger knows, and what the trainer room adds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len
from sqlalchemy import update

from consumer.database.tables import cycles, learned, refused_users
from consumer.ledger.ledger import Ledger, open_ledger
from retrainer.cli.history import explain as command
from retrainer.cli.history.asking import NoAnswer, published
from retrainer.cli.history.parts import Part, draw
from retrainer.cli.history.user import user_story
from retrainer.cli.history.user_rows import user_parts
from schemas.cycle import Outcome
from schemas.jobs.explanation import ExplainRequest, Explanation, Found, Near, NearestUsers, Trace
from tests.commands import call
from tests.contract.ledgers import P0, batch, ended, take
from tests.hostile import HOSTILE, steering
from tests.unit.retrainer.cli.history.past import short_past


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ledger]:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


def told(ledger: Ledger, user: str, found: Explanation | None = None) -> dict[str, str]:
    """The facts by name, without the tables."""
    first, *_ = user_parts(user_story(ledger, user), found)
    return dict(first.facts)


def answered(monkeypatch: pytest.MonkeyPatch, found: Explanation | NoAnswer) -> list[ExplainRequest]:
    """Have the trainer room answer so; gives what it is asked."""
    asked: list[ExplainRequest] = []

    def ask(_settings: object, request: ExplainRequest) -> Explanation:
        asked.append(request)
        if isinstance(found, NoAnswer):
            raise found
        return found

    monkeypatch.setattr(command, "ask", ask)
    return asked


def near(user: str, cosine: float) -> Near:
    return Near(user=user, probability=0.5, cosine=cosine)


HERE = Explanation(
    part="holdout",
    in_store=True,
    same_row=False,
    rows="the user matrix, with 4 users",
    before=NearestUsers(
        version=1, users=(Near(user="x", probability=0.9, cosine=0.8), Near(user="y", probability=0.1, cosine=0.2))
    ),
    now=NearestUsers(version=2, users=(Near(user="y", probability=0.9, cosine=0.7),)),
)
GONE = Explanation(
    part="train",
    in_store=False,
    traces=(
        Trace(place="user matrix", found=Found.ABSENT, evidence="looked at 20,000 rows: not there"),
        Trace(place="label book", found=Found.HELD, evidence="2 labels name it", way_out="delete these labels"),
    ),
)


def test_a_learned_user_tells_by_which_version_and_how_long_it_took(ledger: Ledger) -> None:
    ids = short_past(ledger)
    assert told(ledger, "b") == {
        "user": "b",
        "learned": f"its last change, by version 2 (cycle {ids[2]}, incremental)",
        "since": "nothing of it is pending, claimed or refused",
    }
    parts = {part.title: part for part in user_parts(user_story(ledger, "b"), None)}
    way = parts["The last settled change: 1 min 41 s from event to registered"]
    assert [row[0] for row in way.rows] == ["event", "stored", "claimed", "registered"]
    assert [row[2] for row in way.rows] == ["", "1.0 s", "1 min 0 s", "40.0 s"]
    assert way.rows[0][3] == "t[0]@7, the last of 2"


def test_a_claimed_user_and_one_given_back_say_by_which_cycle(ledger: Ledger) -> None:
    ids = short_past(ledger)
    assert told(ledger, "a")["claimed"] == f"change of 1 event, up to t[0]@9: cycle {ids[3]} runs with it now"
    fence = take(ledger)
    ledger.intake.record(batch(P0, 10, ["d"], now=9010.0))
    ledger.cycles.settle(ended(ids[3], Outcome.REJECTED), 9020.0, fence=fence)
    again = told(ledger, "a")
    assert again["pending"].endswith("tried, and given back: it rides with the next cycle")
    assert again["given back by"] == f"{ids[3]}, rejected 1970-01-01 02:30:20 UTC: said so"
    assert told(ledger, "d")["pending"].endswith("no cycle has tried it yet")
    assert "given back by" not in told(ledger, "d")


def test_a_refused_user_says_why_and_an_unknown_one_that_nothing_is_known(ledger: Ledger) -> None:
    ids = short_past(ledger)
    row = {"user_id": "b", "reason": "taste is missing", "since": 1.0, "last_at": 2.0, "times": 3, "cycle_id": ids[1]}
    with ledger.engine.begin() as connection:
        connection.execute(refused_users.insert().values(**row))
    assert told(ledger, "b")["refused"].startswith("taste is missing; 3 times, first 1970-01-01")
    assert told(ledger, "nobody")["learned"] == (
        f"no change of it is on record; version 1 (bootstrap, cycle {ids[0]}) has read every user"
    )


def test_rows_of_earlier_releases_and_unchanged_cycles_are_told_as_what_they_are(ledger: Ledger) -> None:
    ids = short_past(ledger)
    with ledger.engine.begin() as connection:
        connection.execute(learned.insert().values(user_id="old", received_at=5.0))
        connection.execute(update(cycles).where(cycles.c.cycle_id == ids[1]).values(state="unchanged", base_version=1))
        row = {"operation": "delete", "events": 1, "last_position": "t[0]@4", "last_event_at": 90.0}
        connection.execute(learned.insert().values(user_id="same", received_at=100.0, cycle_id=ids[1], **row))
        connection.execute(learned.insert().values(user_id="lost", received_at=100.0, cycle_id="c000077-00000000"))
    assert (
        "an earlier release settled its last change, stored 1970-01-01 00:00:05 UTC" in told(ledger, "old")["learned"]
    )
    same = told(ledger, "same")["learned"]
    assert same == f"its deletion changed nothing: cycle {ids[1]} settled it, and version 1 answers"
    assert told(ledger, "lost")["learned"].endswith("cycle c000077-00000000, which is on record no more")


def test_a_later_training_from_scratch_has_read_the_user_again(ledger: Ledger) -> None:
    ids = short_past(ledger)
    with ledger.engine.begin() as connection:
        connection.execute(update(learned).where(learned.c.user_id == "b").values(cycle_id=ids[0]))
        connection.execute(update(cycles).where(cycles.c.cycle_id == ids[2]).values(kind="full"))
    assert told(ledger, "b")["learned"].endswith(f"; version 2 (full, cycle {ids[2]}) has read every user again")


def test_the_command_asks_for_the_version_before_and_the_champion(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = short_past(ledger)
    asked = answered(monkeypatch, HERE)
    called = call("explain", "b", "--nearest", "2")
    assert (called.code, called.err) == (0, "")
    (request,) = asked
    assert (request.user, request.nearest, request.before_version, request.now_version) == ("b", 2, 1, 2)
    assert (request.champion_cycle, request.last_settled_cycle) == (ids[2], ids[2])
    assert "among the held-out users, who are never trained on" in called.out
    assert "the feature store has a row of it, another than the user matrix has" in called.out
    rows = [line.split() for line in called.out.splitlines() if line.startswith(("   1", "   2"))]
    assert rows == [["1", "x", "0.8000", "y", "0.7000"], ["2", "y", "0.2000", "-", "-"]]
    assert "1 of 1 were among the nearest before" in called.out
    found = json.loads(call("explain", "b", "--json").out)
    assert (found["learned_by_version"], found["now"]["version"], found["trouble"]) == (2, 2, None)
    assert found["settled"]["received_at"] == "1970-01-01T00:35:00+00:00"


def test_vectors_are_looked_at_where_they_are_published(tmp_path: Path) -> None:
    settings: Any = SimpleNamespace(vectors=SimpleNamespace(out=None))
    assert published(settings) == ()
    settings.vectors.out = tmp_path
    assert published(settings) == (tmp_path,)


def test_what_still_holds_a_deleted_user_makes_the_command_fail(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_past(ledger)
    answered(monkeypatch, GONE)
    called = call("explain", "b")
    assert called.code == 1
    assert "2 labels name it; to do: delete these labels" in called.out
    assert "1 of 2 places still hold it" in called.out
    answered(monkeypatch, GONE.model_copy(update={"traces": GONE.traces[:1]}))
    called = call("explain", "b")
    assert called.code == 0
    assert "none of 1 places holds it\n" in called.out
    outgoing = Trace(place="reports", found=Found.OUTGOING, evidence="2 of 6 name it", way_out="delete their folders")
    answered(monkeypatch, GONE.model_copy(update={"traces": (outgoing,)}))
    called = call("explain", "b")
    assert called.code == 0
    assert "2 of 6 name it; to do: delete their folders" in called.out
    assert "none of 1 places holds it for good; 1 name it until that goes\n" in called.out
    unknown = Trace(place="embedding spaces", found=Found.UNKNOWN, evidence="a trainer works")
    answered(monkeypatch, GONE.model_copy(update={"traces": (unknown,)}))
    called = call("explain", "b")
    assert called.code == 1
    assert "whether anything holds it is not known" in called.out


def test_without_an_answer_the_ledger_is_told_all_the_same(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    short_past(ledger)
    answered(monkeypatch, NoAnswer("nearest users and traces are not known: no room"))
    called = call("explain", "b")
    assert called.code == 1
    assert called.err == "retrainer: nearest users and traces are not known: no room\n"
    assert "by version 2" in called.out
    found = json.loads(call("explain", "b", "--json").out)
    assert (found["trouble"], found["now"]) == ("nearest users and traces are not known: no room", None)


@pytest.mark.full
@pytest.mark.parametrize("what", HOSTILE)
def test_any_id_can_be_asked_for(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    short_past(ledger)
    name = HOSTILE[what].replace("\0", "")
    now = NearestUsers(version=2, users=(near(name.encode(errors="replace").decode(), 1.0),))
    asked = answered(monkeypatch, HERE.model_copy(update={"now": now}))
    called = call("explain", "--", name)
    assert (called.code, steering(called.out)) == (0, [])
    assert asked[0].model_dump_json()


@pytest.mark.parametrize("columns", ["60", "80"])
def test_no_line_is_longer_than_the_screen(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    short_past(ledger)
    monkeypatch.setenv("COLUMNS", columns)
    for found in (HERE, GONE):
        answered(monkeypatch, found)
        for line in call("explain", "b").out.splitlines():
            assert cell_len(line) <= int(columns), line


def test_a_part_without_anything_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    draw([Part("empty"), Part("one", {"a": "b"}), Part("two", {}, ("x",), [["1"]])])
    assert capsys.readouterr().out.splitlines() == ["one", "a  b", "", "two", "x", "1"]
