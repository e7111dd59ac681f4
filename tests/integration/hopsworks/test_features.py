"""Reading features from a cluster on its bad days: what cannot be read is an error, never a user who seems deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from schemas.features import Column, FeatureGroup
from schemas.hopsworks import HopsworksStore
from stores.errors import ClusterUnreachable, ContractError, NotThere, Unauthorized
from stores.features.hopsworks import HopsworksFeatureStore
from stores.hopsworks.groups import differences, native_keys
from stores.hopsworks.session import Session, end_session, session_with
from tests.hopsworks_double import (
    ClusterSpec,
    Drop,
    ErrorRow,
    Fault,
    HopsworksDouble,
    KafkaAccess,
    LoseReply,
    Stall,
    Status,
)
from tests.hopsworks_double.clients.session import cluster_of, session_of
from tests.hopsworks_double.clients.writer import SdkWriter
from tests.hopsworks_double.rows.tables import Stored
from tests.waiting import wait_until, within
from tests.worlds import GROUP, World, names

EVERYBODY = names(30)


@pytest.fixture
def double(running: HopsworksDouble) -> Iterator[HopsworksDouble]:
    """A cluster of thirty users in which nothing is wrong yet; after the test all is well again."""
    running.store.put(World().rows(EVERYBODY), [*running.store.online.keys() - set(EVERYBODY)])
    yield running
    running.faults.clear()
    running.online_rest.start()
    running.query_service.start()
    running.mysql.start()
    end_session()


@pytest.fixture
def session(double: HopsworksDouble) -> Session:
    return session_with(cluster_of(double, request_timeout=1.0, retry_for=1.5))


def opened(session: Session, group: FeatureGroup = GROUP, **settings: object) -> HopsworksFeatureStore:
    return HopsworksFeatureStore(session, HopsworksStore.model_validate({"read_timeout": 1.0, **settings}), group)


@pytest.fixture
def store(session: Session) -> HopsworksFeatureStore:
    return opened(session)


def everybody(store: HopsworksFeatureStore, changed: tuple[str, ...] = ()) -> dict[str, object]:
    return {key: rows.columns["taste"][at] for rows in store.snapshot(changed) for at, key in enumerate(rows.keys)}


def test_a_row_that_could_not_be_read_is_not_a_deleted_user(
    double: HopsworksDouble, store: HopsworksFeatureStore
) -> None:
    """HTTP 200 with the status ERROR inside: the SDK leaves such a row out, as it does a missing one."""
    fault = double.faults.add(Fault("rest", "batch_feature_store", ErrorRow(["u3", "u4"]), times=None))
    assert sorted(store.read(["u2", "u3", "u4", "gone"]).keys) == ["u2", "u3", "u4"]
    assert fault.hits > 0


def test_who_can_be_read_in_neither_way_is_an_error(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    double.faults.add(Fault("rest", "batch_feature_store", ErrorRow(["u3"]), times=None))
    double.faults.add(Fault("mysql", "(?i)from", Status(1317), times=None))
    with pytest.raises(ClusterUnreachable, match="look up 1 keys of listeners by SQL: online store"):
        store.read(["u2", "u3"])


@pytest.mark.parametrize("trouble", [Status(503), Status(500), Drop()])
def test_a_rest_server_that_stumbles_is_asked_again(
    double: HopsworksDouble, store: HopsworksFeatureStore, trouble: Status | Drop
) -> None:
    store.read(["u1"])
    fault = double.faults.add(Fault("rest", "batch_feature_store", trouble, times=1))
    assert sorted(store.read(["u1", "u2"]).keys) == ["u1", "u2"]
    assert fault.hits == 1


def test_a_rest_server_that_is_down_is_an_error_until_it_is_back(
    double: HopsworksDouble, store: HopsworksFeatureStore
) -> None:
    store.read(["u1"])
    double.online_rest.stop()
    with pytest.raises(ClusterUnreachable, match=r"read 2 keys of listeners online: no connection"):
        store.read(["u1", "u2"])
    double.online_rest.start()
    assert sorted(store.read(["u1", "u2"]).keys) == ["u1", "u2"]


def test_a_rest_server_that_stalls_meets_the_deadline(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    store.read(["u1"])
    double.faults.add(Fault("rest", "batch_feature_store", Stall(), times=None))
    with within(10), pytest.raises(ClusterUnreachable, match="no answer in time"):
        store.read(["u1"])


def test_sql_that_stalls_meets_the_deadline(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    double.faults.add(Fault("mysql", "(?i)from", Stall(), times=None))
    with pytest.raises(ClusterUnreachable, match="by SQL: no answer in time"):
        store.read(["nobody"])


def test_sql_connections_that_were_cut_are_made_anew(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    assert store.read(["nobody"]).keys == []
    double.mysql.cut()
    assert store.read(["nobody"]).keys == []


def test_a_password_that_was_rotated_leads_to_a_new_login(
    double: HopsworksDouble, session: Session, store: HopsworksFeatureStore
) -> None:
    assert store.read(["nobody"]).keys == []
    double.rotate_online_password()
    assert store.read(["nobody", "u1"]).keys == ["u1"]
    assert session.generation == 2


def test_a_key_that_was_exchanged_in_mid_run_leads_to_a_new_login(
    double: HopsworksDouble, session: Session, store: HopsworksFeatureStore
) -> None:
    assert len(everybody(store)) == 30
    assert store.read(["u1", "nobody"]).keys == ["u1"]
    double.rotate_api_key()
    assert store.read(["u1", "nobody"]).keys == ["u1"]
    assert len(everybody(store)) == 30
    assert session.generation == 2


def test_a_key_that_is_refused_for_good_is_an_error(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    store.read(["u1"])
    double.set_api_key_valid(False)
    with pytest.raises(Unauthorized, match="HTTP 401"):
        store.read(["u1"])
    double.set_api_key_valid(True)
    assert store.read(["u1"]).keys == ["u1"]


def test_a_query_service_that_is_down_at_the_first_read_is_told_at_once_and_used_when_it_is_back(
    double: HopsworksDouble, store: HopsworksFeatureStore
) -> None:
    """Left to itself the SDK tries for most of a minute and then has no `_server_version`."""
    double.query_service.stop()
    with within(10), pytest.raises(ClusterUnreachable, match=r"the query service does not answer at 127\."):
        everybody(store)
    double.query_service.start()
    assert len(everybody(store)) == 30


def test_a_query_service_that_is_dumb_at_the_first_read_is_told_soon(
    double: HopsworksDouble, store: HopsworksFeatureStore
) -> None:
    """It takes the connection and says nothing, to which the SDK listens for a minute."""
    double.faults.add(Fault("flight", "healthcheck", Stall(), times=None))
    with within(10), pytest.raises(ClusterUnreachable, match="query service: FlightTimedOutError"):
        everybody(store)
    double.faults.clear()
    assert len(everybody(store)) == 30


@pytest.mark.parametrize("refusal", [Status(401), Status(403)])
def test_a_query_service_that_does_not_know_our_certificates_leads_to_a_new_login(
    double: HopsworksDouble, session: Session, store: HopsworksFeatureStore, refusal: Status
) -> None:
    double.faults.add(Fault("flight", "do_get", refusal, times=1))
    assert len(everybody(store)) == 30
    assert session.generation == 2


@pytest.mark.full
@pytest.mark.parametrize(
    "words", ["No commits found", "No delta logs found", "No hudi properties found", "No data found"]
)
def test_an_offline_table_that_was_never_written_is_empty(tmp_path: Path, words: str) -> None:
    """As of a group that has only been written online so far: those who are known to have changed are there."""
    end_session()
    said = Status(520, message=f"{words} for featuregroup listeners_1")
    with HopsworksDouble(tmp_path, ClusterSpec(group=GROUP)) as double, session_of(double) as session:
        double.faults.add(Fault("flight", "do_get", said, times=None))
        double.store.put_online(World().rows(["u1"]))
        store = opened(session)
        assert everybody(store) == {}
        assert everybody(store, changed=("u1", "u2")).keys() == {"u1"}
        double.faults.clear()
        double.faults.add(Fault("flight", "do_get", Status(500, message="disk full"), times=None))
        with pytest.raises(ClusterUnreachable, match="disk full"):  # which says nothing of the table
            everybody(store)


def test_an_offline_table_that_was_written_is_not_empty_whatever_is_said(
    double: HopsworksDouble, store: HopsworksFeatureStore
) -> None:
    double.faults.add(Fault("flight", "do_get", Status(520, message="No data found for listeners_1"), times=None))
    with pytest.raises(ClusterUnreachable, match="No data found"):
        everybody(store)


@pytest.mark.parametrize(("online", "advice"), [(True, "SNAPSHOT=online reads without it"), (False, "read such$")])
def test_an_offline_table_that_cannot_be_read_is_told_by_the_check(tmp_path: Path, online: bool, advice: str) -> None:
    end_session()
    spec = ClusterSpec(group=GROUP, time_travel="NONE", online=online)
    with HopsworksDouble(tmp_path, spec) as double, session_of(double) as session:
        with pytest.raises(ContractError, match=rf"keeps no commits \(time_travel_format NONE\), .*{advice}"):
            opened(session).check_contract()
        if online:
            opened(session, snapshot="online").check_contract()
        else:  # there is nothing online to read in its place
            with pytest.raises(ContractError, match=r"format NONE\)"):
                opened(session, snapshot="online").check_contract()


def test_a_query_service_that_goes_away_later_is_told_too(
    double: HopsworksDouble, store: HopsworksFeatureStore
) -> None:
    assert len(everybody(store)) == 30
    double.query_service.stop()
    with pytest.raises(ClusterUnreachable, match="does not answer"):
        everybody(store)
    double.query_service.start()
    assert len(everybody(store)) == 30


def test_a_query_that_fails_is_asked_again(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    fault = double.faults.add(Fault("flight", "get_flight_info", Status(500), times=1))
    assert len(everybody(store)) == 30
    assert fault.hits == 1


def test_a_snapshot_that_breaks_off_is_an_error_and_not_a_smaller_group(
    double: HopsworksDouble, store: HopsworksFeatureStore
) -> None:
    double.store.put(World().rows(names(9000)))
    double.faults.add(Fault("flight", "do_get", LoseReply(), times=None))
    with pytest.raises(ClusterUnreachable, match="read listeners offline: query service"):
        everybody(store)
    double.faults.clear()
    assert len(everybody(store)) == 9000


@pytest.mark.parametrize(
    ("variable", "trouble"), [("enable_flyingduck", Status(404, 100051)), ("feature_query", Drop())]
)
def test_a_cluster_that_did_not_name_its_query_service_is_asked_again(
    double: HopsworksDouble, store: HopsworksFeatureStore, variable: str, trouble: Status | Drop
) -> None:
    """Without our dropping of its client, the SDK would not read offline again before the next login."""
    double.faults.add(Fault("control", f"variables/.*{variable}", trouble, times=None))
    with pytest.raises(ClusterUnreachable, match="read listeners offline"):
        everybody(store)
    double.faults.clear()
    assert len(everybody(store)) == 30


def test_a_stalled_control_plane_does_not_hold_a_read(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    stalled = double.faults.add(Fault("control", "featureview", Stall(), times=None))
    with within(10), pytest.raises(ClusterUnreachable, match="no answer in time"):
        store.read(["u1"])
    assert stalled.hits > 0


def test_the_offline_copy_may_lag(double: HopsworksDouble, store: HopsworksFeatureStore) -> None:
    later = World(seed=9).row()
    double.store.put_online({"u1": later, "new": later}, ["u2"])
    assert everybody(store).keys() == set(EVERYBODY)  # who nobody speaks of is as the copy has it
    found = everybody(store, changed=("u1", "new", "u2", "never there"))
    assert found.keys() == {*EVERYBODY, "new"} - {"u2"}
    np.testing.assert_array_equal(np.asarray(found["u1"]), later["taste"])


def test_the_view_is_made_once(double: HopsworksDouble, session: Session) -> None:
    group = GROUP.model_copy(update={"columns": GROUP.columns[:2]})
    before = len(double.requests)
    opened(session, group, feature_view="narrow").read(["u1"])
    opened(session, group, feature_view="narrow").read(["u2"])
    made = [one for one in double.requests[before:] if one.method == "POST" and one.path.endswith("featureview")]
    assert len(made) == 1
    with pytest.raises(ContractError, match=r"feature view narrow, version 1, lacks year; .*FEATURE_VIEW"):
        opened(session, feature_view="narrow").read(["u1"])


def test_a_view_of_another_version_of_the_group_is_not_read(double: HopsworksDouble, session: Session) -> None:
    """It has all the columns, and other users' rows, or older ones."""
    opened(session, feature_view="older").read(["u1"])
    (view,) = (view for view in double.views.all() if view["name"] == "older")
    for feature in view["features"]:
        group = feature["featuregroup"]
        feature["featuregroup"] = {**group, "id": group["id"] + 1, "version": 9}
    with pytest.raises(
        ContractError, match=r"older, version 1, has user_id, .* from feature group listeners, version 9"
    ):
        opened(session, feature_view="older").read(["u1"])


def test_labels_of_a_view_do_not_shift_what_comes_after_them(
    double: HopsworksDouble, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(session, feature_view="labelled").read(["u1"])
    (view,) = (view for view in double.views.all() if view["name"] == "labelled")
    next(feature for feature in view["features"] if feature["name"] == "taste")["label"] = True
    served = [feature["name"] for feature in view["features"] if not feature["label"]]
    monkeypatch.setattr(double.views, "columns", lambda *_: served)  # the REST server leaves labels out of its rows
    habit = FeatureGroup(name=GROUP.name, columns=GROUP.columns[1:])
    rows = opened(session, habit, feature_view="labelled").read(["u1"])
    stored = np.array(double.store.online["u1"]["habit"], dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(rows.columns["habit"][0]), stored)
    with pytest.raises(ContractError, match="labelled, version 1, lacks taste"):
        opened(session, feature_view="labelled").read(["u1"])


def test_sql_that_does_not_tell_capitals_apart_brings_nobody_else(
    double: HopsworksDouble, store: HopsworksFeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MySQL does where a table's collation says so."""
    rows = double.store.online_rows

    def alike(keys: Iterable[str] | None = None) -> list[tuple[str, Stored]]:
        asked = None if keys is None else {key.lower() for key in keys}
        return [(key, row) for key, row in rows(None) if asked is None or key.lower() in asked]

    assert store.read(["U1", "u2"]).keys == ["u2"]
    monkeypatch.setattr(double.store, "online_rows", alike)
    assert store.read(["U1", "u2"]).keys == ["u2"]


@pytest.mark.parametrize("user", [":x", "spotify:user:1", "it's", "100%", "a\\b", "ü ñ", 'say "hi"', "a,b", "x:y :z"])
def test_users_with_odd_names_are_found(double: HopsworksDouble, store: HopsworksFeatureStore, user: str) -> None:
    row = World(seed=3).row()
    double.store.put({user: row})
    double.faults.add(Fault("rest", "batch_feature_store", ErrorRow([user]), times=1))
    for _ in range(2):  # by SQL, then by REST
        found = store.read([user, "u1", f"{user}?"])
        assert sorted(found.keys) == sorted([user, "u1"])
        block = found.columns["taste"][found.keys.index(user)]
        assert block is not None
        np.testing.assert_array_equal(block, row["taste"])


def test_a_group_that_is_not_there_is_told_with_the_versions_that_are(session: Session) -> None:
    with pytest.raises(NotThere, match=r"no feature group listeners, version 7: it has version 1"):
        opened(session, GROUP.model_copy(update={"version": 7})).check_contract()
    with pytest.raises(NotThere, match=r"no feature group nobody, version 1: there is none of that name"):
        opened(session, GROUP.model_copy(update={"name": "nobody"})).check_contract()


def test_all_that_differs_from_the_contract_is_told_at_once() -> None:
    features = [("id", "string"), ("taste", "array<double>"), ("habit", "map<string,int>"), ("year", "array<int>")]
    found = SimpleNamespace(
        primary_key=["id", "day"], columns=[SimpleNamespace(name=name, type=kind) for name, kind in features]
    )
    wider = GROUP.model_copy(update={"columns": (*GROUP.columns, Column(name="mood", length=1))})
    said = "; ".join(differences(found, wider))
    assert "its primary key is id, day, not user_id" in said
    assert "column habit is map<string,int>, not an array of numbers" in said
    assert "column mood is missing" in said
    assert "taste" not in said.split("it has")[0]


def test_a_scalar_may_be_a_plain_number() -> None:
    kinds = {"user_id": "bigint", "taste": "array<float>", "habit": "array<double>", "year": "float"}
    found = SimpleNamespace(
        primary_key=["user_id"], columns=[SimpleNamespace(name=name, type=kind) for name, kind in kinds.items()]
    )
    assert differences(found, GROUP) == []
    assert native_keys(found, GROUP, ["7", "x", "-3", "07", ""]) == [{"user_id": 7}, {"user_id": -3}]


def test_rows_that_are_on_their_way_are_waited_for(tansu_address: str, tmp_path: Path) -> None:
    """On the ingestion topic the event is there before the row."""
    spec = ClusterSpec(
        group=GROUP, ingestion_topic=f"onlinefs-{tmp_path.name}", notification_topic=f"n-{tmp_path.name}"
    )
    end_session()
    kafka = KafkaAccess(bootstrap_servers=tansu_address)
    with HopsworksDouble(tmp_path, spec, kafka) as double, session_of(double) as session:
        writer = SdkWriter(session, GROUP)
        writer.commit(World().rows(["u1"]))
        wait_until(lambda: "u1" in double.store.online, 30, "the first row")
        double.ingestion.pause()
        writer.commit(World().rows(["u2"]))
        with pytest.raises(
            ClusterUnreachable, match=r"ingestion \d+ of listeners: 1 of 1 rows are not in the online store"
        ):
            opened(session, awaits_ingestion=True, ingestion_timeout=0.5).read(["u2"])
        assert opened(session).read(["u2"]).keys == []  # what not waiting would have made of it
        double.ingestion.resume()
        assert opened(session, awaits_ingestion=True, ingestion_timeout=20.0).read(["u2"]).keys == ["u2"]
