"""The service in its container: versions appear, it stops when asked, outlives a kill, and says when it is ill."""

from __future__ import annotations

import logging
import signal
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.container.stack import SECRET, Stack
from tests.waiting import wait_until

CYCLE = 180.0
"""Longest that a cycle takes here, on two busy cores, in seconds."""

log = logging.getLogger(__name__)


def in_fit(stack: Stack) -> str:
    """The id of an incremental cycle, while its model is learning."""

    def fitting() -> str:
        cycle = stack.cycle() or {}
        return cycle["cycle_id"] if (cycle.get("kind"), cycle.get("step")) == ("incremental", "fit") else ""

    return wait_until(fitting, CYCLE, "a cycle in its fit")


def check_version_of(stack: Stack, cycle_id: str, cut: datetime) -> None:
    """A cycle that was cut short at `cut` ends in a version all the same, the one version that it has."""

    def registered() -> list[dict[str, Any]]:
        return [version for version in stack.versions() if version["cycle_id"] == cycle_id]

    versions = wait_until(registered, CYCLE, f"a version of cycle {cycle_id}")
    assert len(versions) == 1
    assert datetime.fromisoformat(versions[0]["registered_at"]) > cut, "the cycle had ended before it was cut short"


def test_versions_are_registered(stack: Stack) -> None:
    def two() -> list[dict[str, Any]]:
        return versions if len(versions := stack.versions()) >= 2 else []

    versions = wait_until(two, 2 * CYCLE, "a bootstrap and a wave")
    assert {version["kind"] for version in versions} == {"bootstrap", "incremental"}
    assert [version["champion"] for version in versions].count(True) == 1


def test_it_has_no_rights(stack: Stack) -> None:
    status = stack.execute("cat", "/proc/1/status")[1]
    facts = {name: value.split() for name, value in (line.split(":", 1) for line in status.splitlines())}
    assert facts["Uid"] == ["10001"] * 4
    assert int(facts["CapEff"][0], 16) == int(facts["CapBnd"][0], 16) == 0
    assert facts["NoNewPrivs"] == ["1"]


@pytest.mark.parametrize("folder", ["/", "/opt/retrainer", "/var/lib", "/etc"])
def test_its_root_is_read_only(stack: Stack, folder: str) -> None:
    status, output = stack.execute("touch", f"{folder}/written")
    assert status != 0
    assert "Read-only file system" in output


def test_it_reads_secrets_from_files_and_never_tells_them(stack: Stack) -> None:
    assert stack.execute("cat", "/run/secrets/kafka_sasl_password") == (0, SECRET)
    assert SECRET not in stack.podman("inspect", stack.service)
    assert SECRET not in stack.logs(lines=-1)


def test_its_page_is_reached_from_the_host_and_its_token_comes_from_a_file(stack: Stack) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.page}") as client:
        status = client.get("/api/v1/status").json()
        assert (status["actions"], status["page"]) == (True, "http://127.0.0.1:8642/")
        assert client.get("/healthz").status_code == 200
        pin, order = "/api/v1/orders/pin", {"reason": "a test", "version": 999}
        assert client.post(pin, json=order).status_code == 401
        assert client.post(pin, json=order, headers={"authorization": f"Bearer {SECRET}"}).status_code == 409


def test_sigterm_in_the_middle_of_a_cycle(stack: Stack) -> None:
    cycle_id = in_fit(stack)
    start = time.monotonic()
    stack.podman("stop", "--time", "60", stack.service)
    took, cut = time.monotonic() - start, datetime.now(UTC)
    assert stack.state("ExitCode") == "0"
    assert took < 30, "the compose file's stop_grace_period"

    stack.podman("start", stack.service)
    check_version_of(stack, cycle_id, cut)
    log.info("stopped in %.1f s", took)


def test_sigkill_in_the_middle_of_a_cycle(stack: Stack) -> None:
    cycle_id, pid = in_fit(stack), stack.state("Pid")
    stack.signal(signal.SIGKILL)
    cut = datetime.now(UTC)

    wait_until(lambda: stack.state("Pid") not in {pid, "0"}, 30, "the restart policy to start it again")
    check_version_of(stack, cycle_id, cut)


def test_after_all_that_nothing_was_learned_twice_or_left_out(stack: Stack) -> None:
    """One version a cycle, and each covers the events from where the one before ended."""
    versions = stack.versions()
    assert len({version["cycle_id"] for version in versions}) == len(versions)
    ends: dict[str, int] = {}
    for version in versions:
        for partitions in version["offsets"].values():
            for partition, (start, end) in partitions.items():
                assert start == ends.get(partition, 0)
                ends[partition] = end
    assert len(ends) == 3


def test_the_health_check_turns_bad_when_the_listener_stops(stack: Stack) -> None:
    wait_until(stack.healthy, 60, "health")
    stack.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: not stack.healthy(), 60, "illness")
        status, output = stack.execute("python", "-m", "consumer.health")
        assert status == 1
        assert len(output.splitlines()) == 1
    finally:
        stack.signal(signal.SIGCONT)
    wait_until(stack.healthy, 60, "health again")
