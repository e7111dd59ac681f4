"""What is asked to fail fails, as the unmodified SDK sees it, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
import sqlalchemy
from hopsworks.client.exceptions import FeatureStoreException, RestAPIError

from tests.hopsworks_double import (
    Action,
    Call,
    Drop,
    ErrorRow,
    Fault,
    LoseReply,
    Stall,
    Status,
)
from tests.hopsworks_double.clients.sdk import Client, vectors
from tests.waiting import wait_until
from tests.worlds import World, names


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
            vectors(view, ["u1"], timeout=0.5)
        faults.clear()
    faults.add(Fault("rest", read, ErrorRow(["u1"])))
    assert vectors(view, ["u1", "u2"]).keys() == {"u2"}
    faults.add(Fault("rest", read, ErrorRow(["u1"])))
    blank, whole = view.get_feature_vectors(
        serving_keys=[{"user_id": "u1"}, {"user_id": "u2"}], return_type="list", allow_missing=True
    )
    assert blank[1:] == [None] * 3 != whole[1:]
    assert vectors(view, ["u1", "u2"]).keys() == {"u1", "u2"}


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
        (double.online_rest, lambda: vectors(view, ["u1"]), requests.ConnectionError),
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
