"""The example server with vector sets: queries meet the set that they may meet, or wait for it (P10)."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import examples.serving.serving as example
import schemas
from examples.serving.events import Champion
from examples.serving.matching import look
from examples.serving.served import Place, Served
from examples.serving.serving import Serving
from examples.serving.web import web_server
from examples.serving.worker import Answer
from schemas.manifest import MANIFEST_FILE, ModelManifest
from tests.unit.examples.fake_worker import FakeWorker, asking, served_from, takes
from tests.unit.stores.vectors.made import publish
from tests.unit.stores.vectors.test_together import report
from tests.waiting import wait_until

_GOLDEN = Path(schemas.__file__).parent / "golden" / "model_manifest.json"
ROWS = {"a": 1, "b": 2, "c": 3}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "registry", tmp_path / "store.db", tmp_path / "vectors")


@pytest.fixture
def serving(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    with served_from(place, monkeypatch) as opened:
        yield opened


def register(place: Place, version: int, **says: object) -> None:
    """A version whose towers are its own, unless its manifest says otherwise."""
    golden = ModelManifest.model_validate_json(_GOLDEN.read_bytes())
    plain = {"model_name": "m", "files": (), "towers_as_in": None, "compatibility_report": None}
    folder = place.registry / str(version)
    folder.mkdir(parents=True)
    manifest = golden.model_copy(update={**plain, "index_compatible_with": None, **says})
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json())


def write(place: Place, version: int, at: int = 0) -> None:
    assert place.vectors is not None
    publish(place.vectors, version, ROWS, at=at)


def begun(serving: Serving, place: Place) -> None:
    """Version 1 answers, by its own set."""
    register(place, 1)
    write(place, 1)
    serving.serve(Champion(1, 1))
    takes(serving, 1)


def only(*pairs: tuple[int, int]) -> Callable[[Answer | None], bool]:
    return lambda answer: answer is None or (answer.served.version, answer.served.vectors) not in pairs


def health(serving: Serving) -> dict[str, Any]:
    web = web_server(serving, "127.0.0.1", 0)
    threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{web.server_address[1]}/health", timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
    web.shutdown()
    web.server_close()
    return told


def test_a_set_of_another_space_is_never_asked(serving: Serving, place: Place) -> None:
    begun(serving, place)
    register(place, 2, compatibility_report=report(1, 0.42))
    with asking(serving, only((1, 1), (2, 2))) as seen:
        serving.serve(Champion(2, 2))
        wait_until(lambda: serving.waiting, 10, "the reason")
        told = health(serving)
        assert (told["version"], told["vectors"]) == (1, 1)
        assert told["waiting"].startswith("version 2 waits for vectors: queries of m, version 2 must not meet")
        assert "they keep 0.42 of its recall@10" in told["waiting"]
        write(place, 2, at=1)
        takes(serving, 2)
        wait_until(lambda: serving.waiting is None, 10, "nothing to be in the way")
        serving.serve(Champion(1, 3))  # a rollback waits for the old version's set in the same way
        wait_until(lambda: serving.waiting, 10, "the reason")
        assert health(serving)["version"] == 2
        write(place, 1, at=2)
        takes(serving, 1)
    assert {(one.version, one.vectors) for one in seen} == {(1, 1), (2, 2)}
    assert health(serving)["waiting"] is None
    assert len(FakeWorker.alive) == 1


def test_a_set_of_another_space_that_comes_before_the_event_is_not_asked(serving: Serving, place: Place) -> None:
    begun(serving, place)
    register(place, 2)
    with asking(serving, only((1, 1), (2, 2))):
        write(place, 2, at=1)
        wait_until(lambda: serving.waiting, 10, "the set to be seen")
        serving.serve(Champion(2, 2))
        takes(serving, 2)


def test_a_compatible_version_is_taken_at_once_and_its_own_set_later(serving: Serving, place: Place) -> None:
    begun(serving, place)
    register(place, 2, compatibility_report=report(1, 0.95), index_compatible_with=1)
    with asking(serving, only((1, 1), (2, 1), (2, 2))):
        serving.serve(Champion(2, 2))
        takes(serving, 2, vectors=1)
        assert serving.served is not None
        assert serving.served.kept == 0.95
        told = health(serving)
        assert (told["version"], told["vectors"], told["kept"]) == (2, 1, 0.95)
        write(place, 2, at=1)
        takes(serving, 2)
    assert "kept" not in health(serving)


def test_where_the_towers_stayed_all_of_the_recall_is_kept(serving: Serving, place: Place) -> None:
    begun(serving, place)
    register(place, 2, towers_as_in=1)
    serving.serve(Champion(2, 2))
    takes(serving, 2, vectors=1)
    assert health(serving)["kept"] == 1.0


def test_a_new_set_of_the_same_version_is_taken_too(serving: Serving, place: Place) -> None:
    begun(serving, place)
    before = serving.served
    with asking(serving, only((1, 1))):
        write(place, 1, at=1)
        wait_until(lambda: serving.served != before, 10, "the new set")
    assert [worker.served for worker in FakeWorker.alive] == [look(place, 1)]


def test_without_a_set_a_version_waits_for_one(serving: Serving, place: Place) -> None:
    register(place, 1)
    serving.serve(Champion(1, 1))
    wait_until(lambda: serving.waiting, 10, "the reason")
    assert "names no whole set of candidates; `retrainer vectors --out " in str(serving.waiting)
    assert serving.similar("a", 1) is None
    write(place, 1)
    takes(serving, 1)


def test_a_worker_that_is_killed_while_the_champion_waits_comes_back(serving: Serving, place: Place) -> None:
    begun(serving, place)
    register(place, 2)
    serving.serve(Champion(2, 2))
    wait_until(lambda: serving.waiting, 10, "the reason")
    FakeWorker.alive.clear()
    assert serving.similar("a", 1) is None
    takes(serving, 1)
    assert str(serving.waiting).startswith("version 2 waits")
    write(place, 2, at=1)
    takes(serving, 2)


def test_the_worker_itself_refuses_a_set_that_came_between(
    serving: Serving, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at may not be what is opened a moment later."""
    begun(serving, place)
    register(place, 2)
    with asking(serving, only((1, 1))):
        monkeypatch.setattr(example, "look", lambda _place, version: Served(version, version, None, "set-2-then"))
        serving.serve(Champion(2, 2))
        wait_until(lambda: serving.waiting, 10, "the refusal")
        assert "version 2 must not meet candidates of m, version 1" in str(serving.waiting)


def test_a_version_that_is_not_in_the_registry_leaves_the_old_one(serving: Serving, place: Place) -> None:
    begun(serving, place)
    serving.serve(Champion(2, 2))
    wait_until(lambda: serving.waiting, 10, "the reason")
    assert health(serving)["version"] == 1
