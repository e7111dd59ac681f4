"""The session with a cluster on its bad days: stalled, away, refusing. The double is spoken with by the real SDK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hsfs.core import arrow_flight_client

from stores.errors import ClusterError, ClusterUnreachable, NotThere, Refused, Unauthorized
from stores.hopsworks.session import Session, end_session, session_with
from tests.hopsworks_double import Drop, Fault, HopsworksDouble, Stall, Status
from tests.hopsworks_double.clients.session import cluster_of, session_of
from tests.tls.certificates import Pki
from tests.waiting import within
from tests.worlds import GROUP


@pytest.fixture
def double(running: HopsworksDouble) -> Iterator[HopsworksDouble]:
    yield running
    running.faults.clear()
    running.set_api_key_valid(True)
    end_session()


def look(session: Session) -> object:
    """A request that may be repeated."""
    return session.ask("look for the store", lambda: session.project.get_feature_store())


def test_one_login_a_process_with_checked_certificates_and_not_a_word(
    double: HopsworksDouble, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_of(double)
    session = session_with(cluster)
    assert session_with(cluster) is session
    look(session)
    logins = [one for one in double.requests if "getProjectInfo" in one.path]
    assert session.generation == 1
    assert len(logins) == 1
    assert capfd.readouterr() == ("", "")


def test_no_login_inherits_the_flight_client_of_the_one_before(
    double: HopsworksDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK drops it only with an active connection; a client left over speaks with a host that may be gone."""
    monkeypatch.setattr(arrow_flight_client, "_arrow_flight_instance", object())
    session_with(cluster_of(double))
    assert arrow_flight_client._arrow_flight_instance is None


def test_certificates_of_another_ca_are_refused(double: HopsworksDouble, tmp_path: Path) -> None:
    other = Pki(tmp_path / "other", ["localhost"], "somebody")
    cluster = cluster_of(double).model_copy(update={"ca_file": other.ca_file, "retry_for": 0.0})
    with pytest.raises(ClusterUnreachable, match=r"no secure connection.*RETRAINER_HOPSWORKS__CA_FILE"):
        session_with(cluster)


def test_the_environment_cannot_switch_the_check_off(double: HopsworksDouble, tmp_path: Path) -> None:
    """The SDK reads these variables with precedence over its arguments; our package drops them at its import."""
    import subprocess
    import sys

    code = "import stores.hopsworks, os; print([n for n in os.environ if n.startswith('HOPSWORKS_')])"
    environment = {**os.environ, "HOPSWORKS_HOSTNAME_VERIFICATION": "false", "HOPSWORKS_TRUST_STORE_PATH": "x"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_stalled_control_plane_has_a_deadline_from_the_first_request(double: HopsworksDouble) -> None:
    double.faults.add(Fault("control", "versions", Stall(), times=None))
    cluster = cluster_of(double, request_timeout=0.5, retry_for=0.0)
    with within(8), pytest.raises(ClusterUnreachable, match=r"log in to .*: no answer in time"):
        session_with(cluster)


def test_a_stalled_request_is_tried_again(double: HopsworksDouble) -> None:
    with session_of(double, request_timeout=0.5) as session:
        stalled = double.faults.add(Fault("control", r"featurestores/", Stall(), times=1))
        look(session)
        assert stalled.hits == 1


@pytest.mark.parametrize("trouble", [Status(503), Status(500), Status(502, body=b"<html>"), Drop()])
def test_what_passes_is_waited_out(double: HopsworksDouble, trouble: Status | Drop) -> None:
    with session_of(double) as session:
        fault = double.faults.add(Fault("control", r"featurestores/", trouble, times=2))
        look(session)
        assert fault.hits == 2


def test_what_does_not_pass_is_told_with_status_and_words(double: HopsworksDouble) -> None:
    with session_of(double, retry_for=0.5) as session:
        double.faults.add(Fault("control", r"featurestores/", Status(503, 120000, "gone fishing"), times=None))
        with pytest.raises(ClusterUnreachable, match=r"^look for the store: HTTP 503, code 120000: gone fishing$"):
            look(session)


@pytest.mark.parametrize(("status", "error"), [(400, Refused), (404, NotThere), (403, Unauthorized), (422, Refused)])
def test_an_answer_is_not_asked_for_again(double: HopsworksDouble, status: int, error: type[ClusterError]) -> None:
    with session_of(double) as session:
        fault = double.faults.add(Fault("control", r"featurestores/", Status(status, 1, "no"), times=None))
        with pytest.raises(error):
            look(session)
        assert fault.hits == (2 if error is Unauthorized else 1)  # once more after a new login


def test_a_key_that_was_exchanged_is_read_again(double: HopsworksDouble) -> None:
    with session_of(double) as session:
        store = session.project.get_feature_store()
        double.rotate_api_key()
        look(session)
        assert session.generation == 2
        # What was made before the new login goes on working.
        assert session.ask("look at the group", lambda: store.get_feature_group(GROUP.name, version=1)) is not None


def test_a_new_login_that_meets_a_busy_cluster_is_tried_again(double: HopsworksDouble) -> None:
    with session_of(double) as session:
        double.rotate_api_key()
        busy = double.faults.add(Fault("control", "getProjectInfo", Status(503), times=1))
        look(session)
        assert busy.hits == 1


def test_a_key_that_is_refused_is_told_and_not_shown(double: HopsworksDouble) -> None:
    double.set_api_key_valid(False)
    with pytest.raises(Unauthorized, match="HTTP 401") as caught:
        session_with(cluster_of(double))
    assert double.api_key not in str(caught.value)


def test_a_project_that_is_not_there_is_told(double: HopsworksDouble) -> None:
    with pytest.raises(NotThere, match="log in"):
        session_with(cluster_of(double).model_copy(update={"project": "nobody"}))


def test_what_may_not_be_done_twice_is_done_once(double: HopsworksDouble) -> None:
    with session_of(double) as session:
        fault = double.faults.add(Fault("control", r"featurestores/", Status(503), times=None))
        with pytest.raises(ClusterUnreachable):
            session.once("look once", lambda: session.project.get_feature_store())
        assert fault.hits == 1


def test_threads_share_one_session(double: HopsworksDouble) -> None:
    cluster = cluster_of(double)
    found: list[Session] = []
    threads = [Thread(target=lambda: found.append(session_with(cluster))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert found[0].generation == 1
