"""A double is described, found and reached as its spec says; its keys and passwords can change."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import sqlalchemy
from hopsworks.client.exceptions import FeatureStoreException, RestAPIError

from schemas.features import Column, FeatureGroup
from tests.hopsworks_double import (
    ClusterSpec,
    HopsworksDouble,
)
from tests.hopsworks_double.clients.sdk import Client, cluster_with, logged_in, vectors
from tests.worlds import GROUP, World, names

TINY = FeatureGroup(name="tiny", version=3, primary_key="who", columns=(Column(name="taste", length=2),))


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
        vectors(view, ["u1"])
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
    command = [sys.executable, "-m", "tests.hopsworks_double", str(tmp_path), "--offline"]
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
