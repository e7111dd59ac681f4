"""The double serves the unmodified SDK: what is put in comes out of every door, and what is asked to fail fails."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import sqlalchemy
from hopsworks.client.exceptions import FeatureStoreException, RestAPIError

from schemas.features import Column, FeatureGroup
from tests.hopsworks.client import Client, by_key, cluster_with, logged_in
from tests.hopsworks.double import ClusterSpec, HopsworksDouble
from tests.hopsworks.faults import Action, Call, Drop, ErrorRow, Fault, LoseReply, Stall, Status
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names

TINY = FeatureGroup(name="tiny", version=3, primary_key="who", columns=(Column(name="taste", length=2),))
AWKWARD = ["it's", 'say "hi"', "back\\slash", "50%", "a;b", "ö", "spotify:user:1", ""]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The SDK logs whole tracebacks of what these tests provoke."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with cluster_with(tmp_path) as client:
        client.double.store.put(World().rows(names(20)))
        yield client


def _vectors(view: Any, users: list[str], timeout: float | None = None) -> dict[str, list[Any]]:
    found = view.get_feature_vectors(
        serving_keys=[{"user_id": user} for user in users], return_type="list", timeout=timeout
    )
    return {row[0]: row[1:] for row in found}


def test_the_group_is_described_as_it_was_asked_for(tmp_path: Path) -> None:
    with cluster_with(tmp_path, group=TINY, element="float", notification_topic="changes") as client:
        group = client.group
        assert (group.id, client.store.id) == (client.double.feature_group_id, client.double.feature_store_id)
        assert {feature.name: feature.type for feature in group.features} == {"who": "string", "taste": "array<float>"}
        assert (group.primary_key, group.online_enabled, group.notification_topic_name) == (["who"], True, "changes")
        assert client.store.get_feature_group("tiny", version=4) is None
        assert client.store.get_feature_group("other", version=3) is None
        assert [found.version for found in client.store.get_feature_groups("tiny")] == [3]
        assert json.loads(group.avro_schema) == client.double.cluster.codec.schema
        assert client.double.requests[0].path == "/variables/versions"
        assert client.double.requests[0].status == 200


def test_ids_that_the_group_names_are_kept(tmp_path: Path) -> None:
    group = TINY.model_copy(update={"id": 15, "feature_store_id": 67})
    double = HopsworksDouble(tmp_path, ClusterSpec(group=group))
    assert (double.feature_group_id, double.feature_store_id) == (15, 67)


def test_two_doubles_live_side_by_side_and_start_again_where_they_were(tmp_path: Path) -> None:
    with HopsworksDouble(tmp_path / "a", ClusterSpec(group=GROUP)) as one:
        with HopsworksDouble(tmp_path / "b", ClusterSpec(group=GROUP)) as other:
            assert one.host != other.host
            assert one.api_key != other.api_key
        was = (one.host, one.port)
        one.stop()
        one.start()
        assert (one.host, one.port) == was
        with logged_in(one, tmp_path) as client:
            assert client.offline() == {}


def test_the_environment_leads_to_the_cluster_and_nothing_else(tmp_path: Path) -> None:
    with HopsworksDouble(tmp_path, ClusterSpec(group=TINY)) as double:
        environment = double.environment()
        assert Path(environment["RETRAINER_HOPSWORKS__API_KEY_FILE"]).stat().st_mode & 0o777 == 0o600
        assert environment == {
            "RETRAINER_HOPSWORKS__HOST": double.host,
            "RETRAINER_HOPSWORKS__PORT": str(double.port),
            "RETRAINER_HOPSWORKS__PROJECT": "spotify",
            "RETRAINER_HOPSWORKS__API_KEY_FILE": str(double.api_key_file),
            "RETRAINER_HOPSWORKS__CA_FILE": str(double.ca_file),
            "RETRAINER_FEATURE_GROUP__NAME": "tiny",
            "RETRAINER_FEATURE_GROUP__VERSION": "3",
        }


@pytest.mark.parametrize("element", ["double", "float"])
def test_every_door_gives_the_same_rows(tmp_path: Path, element: str) -> None:
    with cluster_with(tmp_path, element=element) as client:
        rows: dict[str, Any] = World().rows(names(20))
        rows["u3"] = {"taste": None, "habit": [0.1, -0.0, math.inf, 1e300 if element == "double" else 1e30, 5.0]}
        client.double.store.put(rows)
        held = dict(client.double.store.online)
        assert held["u3"]["taste"] is None
        assert client.offline() == held == client.online(names(20))
        by_rest = _vectors(client.view(), names(20))
        assert by_rest == {user: list(row.values()) for user, row in held.items()}
        view = client.store.get_feature_view("listeners_retrainer", version=1)
        view.init_serving(1)
        assert _vectors(view, names(20)) == by_rest


def test_not_a_number_survives(client: Client) -> None:
    client.double.store.put({"u1": {"taste": [math.nan] * 8, "habit": [0] * 5, "year": 1999}})
    for row in (client.offline()["u1"], client.online(["u1"])["u1"]):
        assert np.isnan(row["taste"] or []).tolist() == [True] * 8
        assert row["year"] == [1999.0]
    assert np.isnan(_vectors(client.view(), ["u1"])["u1"][0]).all()


def test_absent_keys_are_absent_everywhere(client: Client) -> None:
    client.double.store.put({}, ["u1"])
    assert client.online(["u0", "u1", "who"]).keys() == {"u0"}
    assert _vectors(client.view(), ["u0", "u1", "who"]).keys() == {"u0"}
    assert "u1" not in client.offline()


def test_awkward_keys_are_found_by_every_door(client: Client) -> None:
    client.double.store.put(World().rows(AWKWARD))
    group = client.group
    assert client.online(AWKWARD).keys() == set(AWKWARD)
    assert client.offline(group.filter(group.user_id.isin(AWKWARD))).keys() == set(AWKWARD)
    assert _vectors(client.view(), AWKWARD).keys() == set(AWKWARD)


def test_filters_hold_in_both_stores(client: Client) -> None:
    group = client.group
    user = group.user_id
    for condition, expected in [
        (user == "u1", {"u1"}),
        ((user == "u1") | (user == "u2"), {"u1", "u2"}),
        (user.isin(["u1", "u2"]) & user.isin(["u2", "u3"]), {"u2"}),
        ((user == "u1") & (user == "u2"), set()),
        (((user == "u1") | (user == "u2")) & user.isin(names(9, start=2)), {"u2"}),
    ]:
        assert client.offline(group.filter(condition)).keys() == expected
        assert set(group.filter(condition).read(online=True)["user_id"]) == expected


def test_thousands_of_keys_are_one_offline_query(client: Client) -> None:
    client.double.store.put(World(group=GROUP).rows(names(9000)))
    group = client.group
    assert client.offline(group.filter(group.user_id.isin(names(5000)))).keys() == set(names(5000))


def test_some_columns_are_enough(client: Client) -> None:
    rows = client.offline(client.group.select(["user_id", "year"]))
    assert rows["u4"] == {"year": client.double.store.offline["u4"]["year"]}


def test_an_offline_read_is_one_moment_however_slowly_it_is_read(client: Client) -> None:
    rows = World().rows(names(10_000))
    client.double.store.put(rows)
    before = dict(client.double.store.offline)
    with client.group.select_all().read_batches() as batches:
        read = by_key(next(batches).to_pylist(), GROUP)
        client.double.store.put(World(seed=1).rows(names(10_000)), names(100, start=9900))
        for batch in batches:
            assert batch.num_rows <= 4096
            read |= by_key(batch.to_pylist(), GROUP)
    assert read == before


def test_online_batches_stream_with_arrays_as_stored(client: Client) -> None:
    with client.group.select_all().read_batches(online=True, batch_size=7) as batches:
        sizes: list[int] = []
        rows: dict[str, Any] = {}
        for batch in batches:
            sizes.append(batch.num_rows)
            rows |= by_key(batch.to_pylist(), GROUP)
    assert sizes == [7, 7, 6]
    assert client.double.cluster.codec.values(rows["u5"]["taste"]) == client.double.store.online["u5"]["taste"]


def test_the_offline_store_lags_until_it_is_materialized(client: Client) -> None:
    store = client.double.store
    store.put_online(World(seed=1).rows(["u1", "new"]), ["u2"])
    assert client.offline().keys() == set(names(20))
    assert client.offline()["u1"] != store.online["u1"]
    store.materialize()
    assert client.offline() == dict(store.online)
    newest = store.commits[-1]
    assert (newest.inserted, newest.updated, newest.deleted) == (1, 1, 1)


def test_an_offline_group_has_commits_and_no_topics(tmp_path: Path) -> None:
    with cluster_with(tmp_path, online=False) as client:
        store, group = client.double.store, client.group
        assert (group.online_enabled, group.notification_topic_name) == (False, None)
        assert group.commit_details(limit=2) == {}
        for number in range(3):
            store.put_offline(World(seed=number).rows(names(2 + number)), ["u0"] if number == 2 else ())
        ids = [commit.id for commit in store.commits]
        assert ids == sorted(set(ids))
        details = group.commit_details(limit=2)
        assert list(details) == [ids[2], ids[1]]
        counts = {key: details[ids[2]][key] for key in ("rowsInserted", "rowsUpdated", "rowsDeleted")}
        assert counts == {"rowsInserted": 1, "rowsUpdated": 3, "rowsDeleted": 1}
        assert client.offline().keys() == {"u1", "u2", "u3"}
        assert dict(store.online) == {}


@pytest.mark.parametrize(("time_travel", "commits"), [("DELTA", 1), ("HUDI", 1), ("NONE", None)])
def test_commits_need_a_format_that_knows_them(tmp_path: Path, time_travel: str, commits: int | None) -> None:
    with cluster_with(tmp_path, online=False, time_travel=time_travel) as client:
        client.double.store.put_offline(World().rows(names(3)))
        if commits is None:
            with pytest.raises(FeatureStoreException):
                client.group.commit_details(limit=5)
        else:
            assert len(client.group.commit_details(limit=5)) == commits
            assert client.offline().keys() == set(names(3))


def test_a_view_that_is_there_from_the_start_is_found(tmp_path: Path) -> None:
    with cluster_with(tmp_path, feature_view=True) as client:
        assert client.store.get_feature_view("listeners_retrainer", version=1).version == 1
        assert client.store.get_feature_view("listeners_retrainer", version=2) is None
        view = client.store.create_feature_view("listeners_retrainer", query=client.group.select(["year"]))
        assert view.version == 2
        assert len(client.store.get_feature_views("listeners_retrainer")) == 2


def test_another_project_is_not_found(tmp_path: Path) -> None:
    with HopsworksDouble(tmp_path / "double", ClusterSpec(group=GROUP)) as double:
        double.project = "other"
        with pytest.raises(Exception, match="other"), logged_in(double, tmp_path):
            pass


def test_a_revoked_key_is_refused_and_the_new_one_accepted(client: Client, tmp_path: Path) -> None:
    view = client.view()
    client.double.rotate_api_key()
    with pytest.raises(RestAPIError) as refused:
        client.group  # noqa: B018
    assert refused.value.response.status_code == 401
    with pytest.raises(RestAPIError):
        _vectors(view, ["u1"])
    with logged_in(client.double, tmp_path) as again:
        assert again.group is not None
        client.double.set_api_key_valid(False)
        with pytest.raises(RestAPIError):
            again.group  # noqa: B018


def test_a_rotated_online_password_is_refused_until_the_next_login(client: Client, tmp_path: Path) -> None:
    assert client.online(["u1"])
    client.double.rotate_online_password()
    for lost_then_refused in ("2013", "1045"):
        with pytest.raises(sqlalchemy.exc.OperationalError, match=lost_then_refused):
            client.online(["u1"])
    with logged_in(client.double, tmp_path) as again:
        assert again.online(["u1"])


@pytest.mark.parametrize(
    ("do", "raised"),
    [
        (Status(503, 120000, "busy"), RestAPIError),
        (Status(502, body=b"<html>bad gateway</html>"), RestAPIError),
        (Drop(), requests.ConnectionError),
        (LoseReply(), requests.ConnectionError),
    ],
)
def test_the_control_plane_fails_on_request(client: Client, do: Any, raised: type[Exception]) -> None:
    fault = client.double.faults.add(Fault("control", r"GET .*/featuregroups/listeners\?", do, times=2, skip=1))
    assert client.group is not None
    for _ in range(2):
        with pytest.raises(raised):
            client.group  # noqa: B018
    assert client.group is not None
    assert fault.hits == 2


def test_a_lost_reply_was_done_all_the_same_and_a_dropped_request_was_not(client: Client) -> None:
    cases: list[tuple[Action, str]] = [(Drop(), "spotify_user_embeddings_changes"), (LoseReply(), "elsewhere")]
    for do, topic in cases:
        group = client.group
        client.double.faults.add(Fault("control", "PUT .*updateMetadata", do))
        with pytest.raises(requests.ConnectionError):
            group.update_notification_topic_name("elsewhere")
        assert client.double.notification_topic == topic
        assert client.double.requests[-1].status == 0


def test_a_stall_ends_when_faults_are_cleared(client: Client) -> None:
    fault = client.double.faults.add(Fault("control", "GET .*/featuregroups/listeners", Stall(), times=None))
    found: list[object] = []
    reader = threading.Thread(target=lambda: found.append(client.group))
    reader.start()
    wait_until(lambda: fault.hits, 5, "the request to stall")
    assert not found
    client.double.faults.clear()
    reader.join(5)
    assert found


def test_a_function_runs_before_the_request_goes_on(client: Client) -> None:
    ran: list[int] = []
    client.double.faults.add(Fault("control", "featuregroups/listeners", Call(lambda: ran.append(1))))
    assert client.group is not None
    assert ran == [1]


def test_the_online_store_fails_on_request(client: Client) -> None:
    view, faults = client.view(timeout=0.5), client.double.faults
    read = "POST /0.1.0/batch_feature_store"
    cases: list[tuple[Action, type[Exception]]] = [
        (Status(500), RestAPIError),
        (Drop(), requests.ConnectionError),
        (Stall(), requests.Timeout),
    ]
    for do, raised in cases:
        faults.add(Fault("rest", read, do))
        with pytest.raises(raised):
            _vectors(view, ["u1"], timeout=0.5)
        faults.clear()
    faults.add(Fault("rest", read, ErrorRow(["u1"])))
    assert _vectors(view, ["u1", "u2"]).keys() == {"u2"}
    faults.add(Fault("rest", read, ErrorRow(["u1"])))
    blank, whole = view.get_feature_vectors(
        serving_keys=[{"user_id": "u1"}, {"user_id": "u2"}], return_type="list", allow_missing=True
    )
    assert blank[1:] == [None] * 3 != whole[1:]
    assert _vectors(view, ["u1", "u2"]).keys() == {"u1", "u2"}


def test_the_online_stores_own_answer_tells_errors_from_absence(client: Client) -> None:
    client.view()
    client.double.faults.add(Fault("rest", "batch_feature_store", ErrorRow(["u1"])))
    asked: Any = {
        "featureStoreName": "spotify",
        "featureViewName": "listeners_retrainer",
        "featureViewVersion": 1,
        "entries": [{"user_id": user} for user in ("u1", "who", "u2")],
        "options": {"includeDetailedStatus": True},
    }
    answer = requests.post(
        f"https://{client.double.host}:4406/0.1.0/batch_feature_store",
        json=asked,
        headers={"X-API-KEY": client.double.api_key},
        verify=str(client.double.ca_file),
        timeout=5,
    ).json()
    assert answer["status"] == ["ERROR", "MISSING", "COMPLETE"]
    assert [row[0]["httpStatus"] for row in answer["detailedStatus"]] == [500, 404, 200]
    assert answer["features"][:2] == [["u1", None, None, None], ["who", None, None, None]]


def test_sql_fails_on_request(client: Client) -> None:
    faults = client.double.faults
    faults.add(Fault("mysql", "listeners_1", Status(1205, message="Lock wait timeout exceeded")))
    with pytest.raises(sqlalchemy.exc.OperationalError, match="1205"):
        client.online(["u1"])
    lost: list[Action] = [Drop(), LoseReply()]
    for do in lost:
        faults.add(Fault("mysql", "listeners_1", do))
        with pytest.raises(sqlalchemy.exc.OperationalError):
            client.online(["u1"])
        assert client.online(["u1"])


def test_the_query_service_fails_on_request(client: Client) -> None:
    faults = client.double.faults
    assert client.offline()
    cases: list[tuple[str, Action]] = [
        ("get_flight_info", Status(500, message="no")),
        ("do_get", Status(401)),
        ("do_get", LoseReply()),
    ]
    for where, do in cases:
        fault = faults.add(Fault("flight", where, do, times=None))
        with pytest.raises(FeatureStoreException):
            client.offline()
        assert fault.hits
        faults.clear()
    assert client.offline()


def test_a_stream_breaks_off_after_its_first_batch(client: Client) -> None:
    client.double.store.put(World().rows(names(9000)))
    client.double.faults.add(Fault("flight", "do_get", LoseReply()))
    with client.group.select_all().read_batches() as batches:
        assert next(batches).num_rows == 4096
        with pytest.raises(FeatureStoreException):
            next(batches)


def test_servers_go_down_and_come_back(client: Client) -> None:
    double = client.double
    view = client.view()
    assert client.offline()
    assert client.online(["u1"])
    checks: list[tuple[Any, Callable[[], Any], type[Exception]]] = [
        (double.control_plane, lambda: client.group, requests.ConnectionError),
        (double.online_rest, lambda: _vectors(view, ["u1"]), requests.ConnectionError),
        (double.mysql, lambda: client.online(["u1"]), sqlalchemy.exc.OperationalError),
    ]
    for server, use, raised in checks:
        server.stop()
        with pytest.raises(raised):
            use()
        server.start()
        wait_until(partial(_works, use, raised), 5, "the server to be back")
    double.query_service.stop()
    double.query_service.start()
    # The client of the query service lets a while pass before it tries again to connect.
    wait_until(partial(_works, client.offline, FeatureStoreException), 60, "the query service to be back")


def _works(use: Callable[[], Any], raised: type[Exception]) -> Any:
    # A pool of connections may hold one more that has ended.
    try:
        return use()
    except raised:
        return None


def test_a_server_that_stops_ends_its_stalls(client: Client) -> None:
    assert client.offline()
    fault = client.double.faults.add(Fault("flight", "do_get", Stall()))
    found: list[object] = []
    reader = threading.Thread(target=lambda: found.append(client.offline()))
    reader.start()
    wait_until(lambda: fault.hits, 5, "the read to stall")
    client.double.query_service.stop()
    reader.join(5)
    assert found


def test_a_mistake_of_the_double_fails_the_test(tmp_path: Path) -> None:
    double = HopsworksDouble(tmp_path / "double", ClusterSpec(group=GROUP))
    double.start()
    with logged_in(double, tmp_path) as client:
        group = client.group
        double.store.commits = None  # type: ignore[assignment]
        with pytest.raises(RestAPIError):
            group.commit_details(limit=1)
    with pytest.raises(AssertionError, match="the double crashed"):
        double.stop()


def test_a_model_is_saved_found_tagged_and_deleted(client: Client, tmp_path: Path) -> None:
    models, registry = client.project.get_model_registry(), client.double.registry
    folder = tmp_path / "model"
    (folder / "towers").mkdir(parents=True)
    contents = {"model.keras": os.urandom(11 << 20), "towers/empty": b"", "towers/index.bin": b"\r\n--\r\n" + bytes(9)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    model = models.tensorflow.create_model("two_tower", metrics={"recall": 0.5}, description="run 1")
    model.save(str(folder), await_registration=10)
    root = registry.folder("two_tower", 1)
    assert all((folder / path).exists() for path in contents)
    assert {path: registry.files[f"{root}/Files/{path}"] for path in contents} == contents

    found = models.get_model("two_tower", version=1)
    assert (found.version, found.description, found.training_metrics) == (1, "run 1", {"recall": 0.5})
    assert [version.version for version in models.get_models("two_tower")] == [1]
    assert models.get_best_model("two_tower", "recall", "max").version == 1
    assert models.get_model("two_tower", version=2) is None
    assert models.get_models("other") == []

    copy = Path(found.download(str(tmp_path / "copy")))
    assert {path: (copy / path).read_bytes() for path in contents} == contents

    with pytest.raises(RestAPIError) as refused:
        found.add_tag("retrainer", {"champion": True})
    assert (refused.value.response.status_code, refused.value.error_code) == (404, 370000)
    registry.tag_schemas.add("retrainer")
    found.add_tag("retrainer", {"champion": True})
    assert registry.tags["two_tower_1"] == {"retrainer": {"champion": True}}
    assert found.get_tag("retrainer") is not None
    found.delete_tag("retrainer")
    assert found.get_tag("retrainer") is None

    registry.remove_folder("two_tower", 1)
    with pytest.raises(RestAPIError) as stuck:
        found.delete()
    assert (stuck.value.response.status_code, set(registry.models)) == (500, {"two_tower_1"})
    client.project.get_dataset_api().mkdir("Models/two_tower/1")
    found.delete()
    assert (registry.models, root in registry.dirs) == ({}, False)


def test_the_best_model_is_the_servers_choice_and_those_without_the_metric_come_last(client: Client) -> None:
    registry, folder = client.double.registry, {"name": "two_tower", "projectName": "spotify", "framework": "PYTHON"}
    for version, metrics in enumerate(({"recall": 0.3}, {"recall": 0.7}, None, {"recall": 0.5}), start=1):
        entry = {**folder, "id": f"two_tower_{version}", "version": version, "metrics": metrics, "modelRegistryId": 1}
        registry.models[f"two_tower_{version}"] = entry
    models = client.project.get_model_registry()
    assert models.get_best_model("two_tower", "recall", "max").version == 2
    assert models.get_best_model("two_tower", "recall", "min").version == 1


def test_topics_are_listed_and_need_a_schema(client: Client) -> None:
    api = client.project.get_kafka_api()
    assert {topic.name for topic in api.get_topics()} == {"spotify_onlinefs", "spotify_user_embeddings_changes"}
    with pytest.raises(RestAPIError) as refused:
        api.create_topic("changes", "nothing", 1)
    assert refused.value.error_code == 190006
    api.create_topic("changes", "listeners_1", 1)
    assert "changes" in {topic.name for topic in api.get_topics()}
    with pytest.raises(RestAPIError):
        api.create_topic("changes", "listeners_1", 1)


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.hopsworks", str(tmp_path), "--offline"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        environment = json.loads(program.stdout.readline())["environment"]
        url = f"https://{environment['RETRAINER_HOPSWORKS__HOST']}:{environment['RETRAINER_HOPSWORKS__PORT']}"
        key = Path(environment["RETRAINER_HOPSWORKS__API_KEY_FILE"]).read_text().strip()
        answer = requests.get(
            f"{url}/hopsworks-api/api/variables/versions",
            headers={"Authorization": f"ApiKey {key}"},
            verify=environment["RETRAINER_HOPSWORKS__CA_FILE"],
            timeout=5,
        )
        assert answer.status_code == 200
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
    finally:
        program.kill()
        program.communicate()
