"""What a process of the trainer room says of one user: its nearest, and every place that still holds a deleted one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consumer.ledger.past_cycles import find_cycle
from retrainer.cli.history.user import user_story
from schemas.cycle import Outcome
from schemas.jobs.explanation import ExplainRequest, Explanation, Found
from schemas.manifest import MODEL_FILE
from schemas.reports import EVIDENCE_FILE
from stores.registry.opening import open_registry
from tests.models.small_loop import SmallLoop
from tests.worlds import names
from trainer.explain import answer
from trainer.explain.answer import explain
from trainer.explain.space_files import SpaceFiles
from trainer.lock import no_trainer, only_trainer
from trainer.model import load
from trainer.pairs.graph_file import store_graph, stored_graph

pytestmark = pytest.mark.full

GONE = "u61"
"""A user whom the second cycle of the story has learned as deleted."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story")
    loop = SmallLoop(folder)
    loop.story()
    loop.close()
    return folder


@pytest.fixture
def loop(tmp_path: Path, template: Path) -> Iterator[SmallLoop]:
    with closing(SmallLoop(tmp_path, template)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "no_trainer", partial(no_trainer, patience=0.0))


def asked(loop: SmallLoop, user: str, nearest: int = 5, vectors: tuple[Path, ...] = ()) -> ExplainRequest:
    """The request that the command makes."""
    story = user_story(loop.ledger, user)
    return ExplainRequest(
        user=user,
        settings=loop.settings.for_trainer(),
        nearest=nearest,
        now_version=story.now_version,
        before_version=story.before_version,
        champion_cycle=story.champion["cycle_id"] if story.champion else None,
        last_settled_cycle=story.last_settled,
        vectors=vectors,
    )


def space_of(loop: SmallLoop) -> SpaceFiles:
    (folder,) = (loop.settings.work_dir / "spaces").iterdir()
    return SpaceFiles(folder, loop.settings.feature_group.width)


def not_absent(found: Explanation) -> dict[str, Found]:
    """Of each place that holds the user, or may, its first words."""
    return {one.place.partition(" of space")[0]: one.found for one in found.traces if one.found is not Found.ABSENT}


def test_the_nearest_are_those_of_the_whole_model_on_todays_rows(loop: SmallLoop) -> None:
    user = "u5"
    loop.commit([user])  # its row in the store is another now than in the matrix
    found = explain(asked(loop, user))
    assert (found.in_store, found.same_row, found.rows, found.traces) == (
        True,
        False,
        "the user matrix, with 302 users",
        (),
    )
    assert found.before is not None
    assert found.now is not None
    assert (found.before.version, found.now.version) == (1, 3)
    keys, rows = space_of(loop).users()
    store = loop.store.read([user])
    row = np.concatenate([store.columns[column.name][0] for column in loop.settings.feature_group.columns])
    raw = space_of(loop).raw()[rows]
    for one in (found.before, found.now):
        model = load(open_registry(loop.settings.for_trainer()).fetch(one.version) / MODEL_FILE)
        probability = np.array(model.whole([np.repeat(row[None], len(keys), axis=0), raw]))[:, 0]
        probability[keys.index(user)] = -1
        best = np.argsort(-probability, kind="stable")[:5]
        assert [near.probability for near in one.users] == pytest.approx(probability[best].tolist(), abs=1e-6)
        assert user not in [near.user for near in one.users]
        assert [near.cosine for near in one.users] == sorted((near.cosine for near in one.users), reverse=True)


def test_a_user_whom_the_bootstrap_learned_has_no_version_before(loop: SmallLoop) -> None:
    found = explain(asked(loop, "u250", nearest=3))
    assert found.before is None
    assert found.now is not None
    assert len(found.now.users) == 3
    assert found.same_row is True


def test_every_cycle_records_its_settings_and_packages(loop: SmallLoop) -> None:
    made = find_cycle(loop.ledger.engine, "champion")["result"]
    loop.store.commit({}, names(400))
    loop.record(names(5))
    failed = loop.cycle().model_dump(mode="json")  # nobody is left: that is believed to be a mistake
    assert failed["outcome"] == "failed"
    for result in (made, failed):
        assert result["settings"]["gate"]["draws"] == 200
        assert {"keras", "retrainer", "python"} <= result["packages"].keys()


def test_without_nearest_no_model_is_asked(loop: SmallLoop) -> None:
    found = explain(asked(loop, "u5", nearest=0))
    assert (found.before, found.now, found.in_store) == (None, None, True)


def test_while_a_trainer_works_and_where_no_space_is_all_rows_are_those_of_the_store(loop: SmallLoop) -> None:
    quiet = explain(asked(loop, "u5"))
    with only_trainer(loop.settings.work_dir):
        busy = explain(asked(loop, "u5"))
        (trace,) = explain(asked(loop, GONE)).traces
    assert busy.rows == "the feature store, with 302 users"
    assert busy.notes == ("a trainer works in the embedding space now, so all rows are the feature store's",)
    assert busy.now == quiet.now
    assert (trace.found, trace.way_out) == (Found.UNKNOWN, "ask again when its cycle has ended")
    (space_of(loop).folder / "space.json").unlink()
    lost = explain(asked(loop, "u5"))
    assert lost.rows == busy.rows
    assert "not on this machine" in lost.notes[0]


def test_a_reader_lets_other_readers_in_and_a_trainer_wait(loop: SmallLoop) -> None:
    only_trainer(loop.settings.work_dir).close()  # makes the file
    with no_trainer(loop.settings.work_dir, 0.0) as one, no_trainer(loop.settings.work_dir, 0.0) as other:
        assert one
        assert other
        with pytest.raises(Exception, match="another trainer"):
            only_trainer(loop.settings.work_dir, patience=0.0)
    only_trainer(loop.settings.work_dir, patience=0.0).close()


def test_a_deleted_user_is_held_until_a_cycle_has_learned_it_and_then_by_nothing(loop: SmallLoop) -> None:
    user = "u9"
    shutil.rmtree(loop.settings.reports_dir)  # of cycles that knew it
    loop.commit(deletes=[user])
    before = explain(asked(loop, user))
    assert before.in_store is False
    assert not_absent(before) == {"user matrix": Found.HELD, "pairs": Found.HELD, "exams": Found.HELD}
    assert loop.cycle().outcome is Outcome.REGISTERED
    assert not_absent(explain(asked(loop, user))) == {"note of departures": Found.OUTGOING}
    loop.commit(names(3, start=120))
    loop.cycle()
    after = explain(asked(loop, user))
    assert not_absent(after) == {}
    assert [one.place.partition(" of space")[0] for one in after.traces] == [
        "user matrix",
        "short rows",
        "pairs",
        "exams",
        "note of departures",
        "note of newcomers",
        "folders of cycles",
        f"reports in {loop.settings.reports_dir}",
    ]
    matrix = after.traces[0].evidence
    assert matrix.startswith("the index of 301 users does not name it, and all ")


def test_a_newcomer_who_leaves_under_the_same_champion_is_noted_no_longer(template: Path, tmp_path: Path) -> None:
    with closing(SmallLoop(tmp_path, template, GATE__REGISTER_UNCHANGED="false")) as loop:
        loop.commit(["newcomer"])
        assert loop.cycle().outcome is Outcome.UNCHANGED
        note = space_of(loop).folder / "newcomers.json"
        assert json.loads(note.read_bytes())["users"] == ["newcomer"]
        loop.commit(deletes=["newcomer"])
        assert loop.cycle().outcome is Outcome.UNCHANGED
        assert json.loads(note.read_bytes())["users"] == []


Plant = Callable[[SmallLoop], None]


def _free_row(loop: SmallLoop) -> int:
    taken = set(space_of(loop).users()[1].tolist())
    return next(row for row in range(len(taken) + 1) if row not in taken)


def _into_the_index(loop: SmallLoop) -> None:
    with closing(sqlite3.connect(space_of(loop).folder / "index.db")) as db, db:
        db.execute("INSERT INTO users VALUES (?, ?)", (GONE, _free_row(loop)))


def _into(file: str, loop: SmallLoop) -> None:
    space = space_of(loop)
    rows = np.memmap(space.folder / file, dtype=np.float32, mode="r+").reshape(-1, space.width)
    rows[_free_row(loop), 3] = 0.5


def _into_the_pairs(loop: SmallLoop) -> None:
    folder = space_of(loop).folder
    policy, arrays = stored_graph(folder) or pytest.fail("no graph")
    target = arrays["target"].copy()
    target[7] = _free_row(loop)
    store_graph(folder, policy, arrays | {"target": target})


def _into_the_labels(loop: SmallLoop) -> None:
    with closing(sqlite3.connect(space_of(loop).folder / "labels.db")) as db, db:
        db.execute("CREATE TABLE labels (user TEXT, other TEXT)")
        db.executemany("INSERT INTO labels VALUES (?, ?)", [("u1", "u2"), ("u3", GONE)])


def _into_a_note(file: str, mark: str, value: str | None, loop: SmallLoop) -> None:
    story = user_story(loop.ledger, GONE)
    current = {"since": story.last_settled, "champion": (story.champion or {})["cycle_id"]}[mark]
    (space_of(loop).folder / file).write_text(json.dumps({mark: value or current, "users": ["u1", GONE]}))


def _into_a_request(loop: SmallLoop) -> None:
    folder = loop.settings.work_dir / "cycles" / "c000009-0123abcd"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({"users": ["u1", GONE]}))


PLANTED: dict[str, tuple[Plant, dict[str, Found]]] = {
    "index": (_into_the_index, {"user matrix": Found.HELD, "exams": Found.HELD}),
    "raw rows": (partial(_into, "raw.f32"), {"user matrix": Found.HELD}),
    "directions": (partial(_into, "direction.f32"), {"user matrix": Found.HELD}),
    "pairs": (_into_the_pairs, {"pairs": Found.HELD}),
    "labels": (_into_the_labels, {"label book": Found.HELD}),
    "departures": (partial(_into_a_note, "leavers.json", "since", None), {"note of departures": Found.HELD}),
    "old departures": (partial(_into_a_note, "leavers.json", "since", "c0"), {"note of departures": Found.OUTGOING}),
    "newcomers": (partial(_into_a_note, "newcomers.json", "champion", None), {"note of newcomers": Found.HELD}),
    "old newcomers": (partial(_into_a_note, "newcomers.json", "champion", "c0"), {"note of newcomers": Found.OUTGOING}),
    "a request": (_into_a_request, {"folders of cycles": Found.OUTGOING}),
}


@pytest.mark.parametrize("place", PLANTED)
def test_a_user_who_was_put_back_is_seen_in_each_place(loop: SmallLoop, place: str) -> None:
    assert not_absent(explain(asked(loop, GONE))) == {}
    plant, seen = PLANTED[place]
    plant(loop)
    assert not_absent(explain(asked(loop, GONE))) == seen


def test_a_space_that_the_next_cycle_removes_is_looked_at_as_well(loop: SmallLoop) -> None:
    space = space_of(loop).folder
    other = space.with_name("other")
    shutil.copytree(space, other)
    with closing(sqlite3.connect(other / "index.db")) as db, db:
        db.execute("INSERT INTO users VALUES (?, 700)", (GONE,))
    found = explain(asked(loop, GONE))
    assert not_absent(found) == {"user matrix": Found.OUTGOING, "exams": Found.OUTGOING}
    (matrix,) = (one for one in found.traces if one.place == "user matrix of space other")
    assert matrix.evidence.endswith("this is not the champion's space, and the next cycle removes it")
    loop.commit(names(3, start=120))
    loop.cycle()
    assert not other.exists()


def test_short_rows_of_nobody_are_to_be_empty(loop: SmallLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    short = np.zeros((400, 3), dtype=np.float32)
    empty = np.array([[0.0, 0.0, 7.0]], dtype=np.float32)
    monkeypatch.setattr(SpaceFiles, "short_rows", lambda _self: (short, empty))
    row = _free_row(loop)
    short[row] = empty
    assert not_absent(explain(asked(loop, GONE))) == {}
    short[row, 1] = 0.5
    assert not_absent(explain(asked(loop, GONE))) == {"short rows": Found.HELD}


def test_a_report_that_names_it_goes_by_itself_and_vectors_of_a_cluster_are_not_looked_at(loop: SmallLoop) -> None:
    newest, *_ = sorted(loop.settings.reports_dir.iterdir(), reverse=True)
    evidence = newest / EVIDENCE_FILE
    told = json.loads(evidence.read_bytes())
    named = told["neighbourhoods"][0]["after"][0]["user"]
    evidence.write_text(evidence.read_text().replace(f'"{named}"', f'"{GONE}"'))
    request = asked(loop, GONE).model_copy(update={"vector_group": "user_vectors"})
    found = explain(request)
    assert not_absent(found) == {f"reports in {loop.settings.reports_dir}": Found.OUTGOING}
    assert newest.name in found.traces[-1].evidence
    assert "the feature group user_vectors are not looked at" in found.notes[0]
    shutil.rmtree(newest)
    assert not_absent(explain(request)) == {}


def test_published_vectors_are_looked_at_whatever_their_columns_are_called(loop: SmallLoop, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    folder.mkdir()
    users = ["u1", "u2", "u3"]
    table = {"who": users, "vector": [[0.1, 0.2]] * 3}
    pq.write_table(pa.table(table), folder / "all.parquet")
    np.save(folder / "keys.npy", np.array(users))
    clean = explain(asked(loop, GONE, vectors=(folder,)))
    assert not_absent(clean) == {}
    assert clean.traces[-1].evidence == "looked at 6 rows in 2 files: not there"
    pq.write_table(pa.table({**table, "who": ["u1", GONE, "u3"]}), folder / "all.parquet")
    assert explain(asked(loop, GONE, vectors=(folder,))).traces[-1].found is Found.HELD
    pq.write_table(pa.table(table), folder / "all.parquet")
    np.savez(folder / "more.npz", keys=np.array([GONE]), vectors=np.zeros((1, 2)))
    assert "more.npz name it" in explain(asked(loop, GONE, vectors=(folder,))).traces[-1].evidence
    (folder / "more.npz").write_bytes(b"no array")
    assert explain(asked(loop, GONE, vectors=(folder,))).traces[-1].found is Found.UNKNOWN


def test_a_store_that_does_not_answer_is_told(loop: SmallLoop) -> None:
    (loop.folder / "feature_store.db").unlink()
    found = explain(asked(loop, "u5"))
    assert found.in_store is None
    assert found.notes[0].startswith("the feature store cannot be asked: ")


def test_a_version_that_is_gone_is_told(loop: SmallLoop) -> None:
    request = asked(loop, "u5").model_copy(update={"before_version": 77})
    found = explain(request)
    assert found.before is not None
    assert "no version 77" in (found.before.note or "")
    assert found.now is not None
    assert found.now.users
