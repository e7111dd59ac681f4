"""What is written into a Hopsworks registry for a cycle, and what is kept of it on disk: no cluster needed."""

from __future__ import annotations

import fcntl
import json
import math
from pathlib import Path

import pytest
import requests
from hopsworks.client.exceptions import RestAPIError
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.cycle import CycleKind
from stores.errors import ClusterError, ClusterUnreachable, NotThere, Refused, Unauthorized
from stores.hopsworks.failures import as_store_error, code_of
from stores.registry.hopsworks.cache import VersionCache, key_of
from stores.registry.hopsworks.naming import cycle_in, describe, metrics_of
from tests.contract.test_model_registry import GOLDEN


@given(st.from_regex(r"[a-z0-9-]{1,60}", fullmatch=True), st.sampled_from(CycleKind), st.text(max_size=400))
@example(cycle_id="c" * 60, kind=CycleKind.FULL, reason="why " * 100)
@example(cycle_id="c1", kind=CycleKind.FULL, reason="a\nRetrainer cycle c2: full, b")
def test_a_description_names_its_cycle_whatever_the_reason_says(cycle_id: str, kind: CycleKind, reason: str) -> None:
    manifest = GOLDEN.model_copy(update={"cycle_id": cycle_id, "kind": kind, "reason": reason})
    description = describe(manifest)
    assert cycle_in(description) == cycle_id
    assert len(description) <= 250
    assert len(description.splitlines()) == 1
    assert cycle_in(f"Ours.\n{description}\nKeep it.") == cycle_id


@pytest.mark.parametrize(
    "description",
    ["", "A collection of models for two_tower_recommender", "About Retrainer cycle c1: full, x", "Retrainer cycle c1"],
)
def test_a_description_that_names_no_cycle_is_somebody_elses(description: str) -> None:
    assert cycle_in(description) is None


def test_metrics_are_numbers_under_lower_snake_names() -> None:
    scores = GOLDEN.metrics.model_copy(update={"auc": None, "calibration_error": math.nan})
    metrics = metrics_of(GOLDEN.model_copy(update={"metrics": scores}))
    assert metrics.keys() == {"accuracy", "average_precision", "recall_at_10", "users", "pairs"}
    assert all(isinstance(value, float) for value in metrics.values())


def test_a_lock_of_the_cache_is_held_against_other_processes(tmp_path: Path) -> None:
    cache = VersionCache(tmp_path)
    with (tmp_path / ".writer.lock").open("w") as other:
        with cache.locked("writer"), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_a_killed_process_left_in_the_cache_is_no_hindrance(tmp_path: Path) -> None:
    cache = VersionCache(tmp_path)
    with cache.scratch("incoming") as folder:
        (folder / "half").write_text("half")
        with VersionCache(tmp_path).scratch("incoming") as again:
            assert not list(again.iterdir())
    assert not list((tmp_path / "files").iterdir())


def test_a_folder_goes_when_it_is_old_and_nobody_holds_it(tmp_path: Path) -> None:
    ours, theirs = VersionCache(tmp_path), VersionCache(tmp_path)
    kept_by(ours, "1")
    for number in range(2, 9):
        kept_by(theirs, str(number))
    assert ours.files("1").is_dir(), "it is held"
    del ours, theirs
    last = VersionCache(tmp_path)
    kept_by(last, "9")
    assert sorted(folder.name for folder in (tmp_path / "files").iterdir()) == ["6", "7", "8", "9"]


def kept_by(cache: VersionCache, key: str) -> None:
    with cache.scratch("incoming") as folder:
        cache.keep_files(key, folder)


def test_a_key_is_a_name_of_a_file_whatever_the_cluster_calls_a_time() -> None:
    assert key_of(7, "1700000000000") == "7-1700000000000"
    assert key_of(7, "2026-01-01T00:00:00/../.Z") == "7-2026-01-01T00-00-00-Z"
    assert key_of(7, "None") != key_of(7, "1")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, json.dumps({"errorCode": 360000}), NotThere),
        (404, "{}", NotThere),
        (404, "<html>", ClusterUnreachable),
        (400, json.dumps({"errorCode": 110018}), NotThere),
        (400, json.dumps({"errorCode": 110014}), Refused),
        (400, "<html>", Refused),
        (401, "<html>", Unauthorized),
        (502, "<html>", ClusterUnreachable),
        (500, json.dumps({"errorCode": 110018}), ClusterUnreachable),
    ],
)
def test_only_hopsworks_itself_says_that_something_is_not_there(
    status: int, body: str, error: type[ClusterError]
) -> None:
    raised = RestAPIError("https://cluster/path?with=secrets", _answered(status, body))
    found = as_store_error("look", raised)
    assert type(found) is error
    assert "secrets" not in str(found)
    assert code_of(raised) == (json.loads(body).get("errorCode") if body.startswith("{") else None)


def test_an_answer_that_breaks_off_and_a_client_that_is_gone_are_told_apart() -> None:
    assert (
        type(as_store_error("read", requests.exceptions.ChunkedEncodingError("IncompleteRead"))) is ClusterUnreachable
    )
    assert (
        type(as_store_error("read", Exception("Couldn't find client. Try reconnecting to Hopsworks."))) is Unauthorized
    )


def _answered(status: int, body: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = body.encode()
    return response
