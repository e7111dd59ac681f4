"""The whole loop, as a user has it: the installed service as a process on a real broker."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaConsumer, TopicPartition

from consumer.listener.state import ListenerState
from consumer.lock import only_one
from schemas.log_events.cycles import CYCLE_RESUMED, CYCLE_STEP, TRAINER_FAILED
from schemas.log_events.listener import LEDGER_REFUSES_CHANGES, LISTENER_FAILED, WAITING_FOR_BROKER
from tests.integration.service import RETRAINER, Service
from tests.waiting import wait_until
from tests.worlds import names

REFUSES = ListenerState.LEDGER_REFUSES

pytestmark = pytest.mark.full

Make = Callable[..., Service]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes services, and leaves none running."""
    made: list[Service] = []

    def one(broker: str, **more: str) -> Service:
        folder = tmp_path / f"service-{len(made)}"
        folder.mkdir()
        made.append(Service(folder, broker, **more))
        return made[-1]

    yield one
    for service in made:
        service.close()


def story(service: Service) -> list[dict[str, Any]]:
    """What its versions say, but for what differs from run to run: ids, times, weights."""
    told = ("version", "kind", "base_version", "champion", "reason", "changed_users", "offsets", "pairs")
    return [{name: version[name] for name in told} for version in service.versions()]


def three_waves(service: Service, disturb: Callable[[Service, int], None]) -> list[dict[int, int]]:
    """Bootstrap and three waves, a cycle each; gives where the topic ended after each."""
    service.fill()
    ends = [service.topic.ends()]
    service.start()
    disturb(service, 0)
    service.wait_for_cycles(1)
    for number in (1, 2, 3):
        service.wave(number)
        ends.append(service.topic.ends())
        disturb(service, number)
        service.wait_for_cycles(number + 1)
    return ends


def test_bootstrap_three_waves_exact_offsets_and_restarts_that_change_nothing(kafka_address: str, make: Make) -> None:
    def restart(service: Service, number: int) -> None:
        """SIGTERM in the bootstrap and in wave 1, SIGKILL in wave 2 and 3, at different steps."""
        service.wait_for_step(["fit", "fit", "fit", "read"][number], number)
        if number < 2:
            assert service.stop() == 0
        else:
            service.kill()
        service.start()

    lasting = {
        "FIT__FULL_EPOCHS": "20",
        "FIT__INCREMENTAL_EPOCHS": "20",
        "FIT__PATIENCE": "20",
        "TRAINER__WARM": "true",
    }  # long enough to be hit in the middle
    undisturbed, disturbed = make(kafka_address, **lasting), make(kafka_address, **lasting)
    plain = three_waves(undisturbed, lambda _service, _number: None)
    rough = three_waves(disturbed, restart)

    for service, ends in ((undisturbed, plain), (disturbed, rough)):
        versions = service.versions()
        assert [version["version"] for version in versions] == [1, 2, 3, 4]
        assert [version["kind"] for version in versions] == ["bootstrap", *["incremental"] * 3]
        assert [version["champion"] for version in versions] == [False, False, False, True]
        assert [version["changed_users"] for version in versions] == [400, 40, 40, 40]
        before = dict.fromkeys(ends[0], 0)
        for version, after in zip(versions, ends, strict=True):
            expected = {
                str(number): [before[number], after[number]] for number in after if before[number] < after[number]
            }
            assert version["offsets"] == {service.topic.name: expected}
            before = after
        assert len({version["cycle_id"] for version in versions}) == 4
        manifests = [
            json.loads((service.folder / "registry/two_tower_recommender" / str(number) / "manifest.json").read_text())
            for number in (1, 2, 3, 4)
        ]
        assert [manifest["cycle_id"] for manifest in manifests] == [version["cycle_id"] for version in versions]
        assert [manifest["lineage"]["offsets"] for manifest in manifests] == [
            version["offsets"] for version in versions
        ]
        assert [manifest["pair_report"]["users"] for manifest in manifests] == [400, 400, 400, 400]

    # Which partition an event falls into is the producer's business and the same in both; the topic's name is not.
    one, other = story(undisturbed), story(disturbed)
    for told in (*one, *other):
        told["offsets"] = next(iter(told["offsets"].values()))
    assert one == other
    resumed = [line["cycle_id"] for line in disturbed.log() if line["event"] == CYCLE_RESUMED]
    assert len(resumed) == len(set(resumed)) == 4


def test_the_consumer_stays_small_and_free_of_tensorflow_while_a_cycle_trains(tansu_address: str, make: Make) -> None:
    service = make(tansu_address, FIT__FULL_EPOCHS="40", FIT__PATIENCE="40")
    service.fill(2500)
    service.start()
    service.wait_for_step("fit", 0)
    assert service.process is not None
    consumer = psutil.Process(service.process.pid)
    sizes: list[int] = []

    def looked_at() -> bool:
        sizes.append(consumer.memory_info().rss)
        mapped = {Path(region.path).name for region in consumer.memory_maps()}
        assert not [name for name in mapped if "tensorflow" in name or "numpy" in name or "multiarray" in name]
        return bool(service.ended())

    wait_until(looked_at, 90, "the cycle to end")
    assert service.ended()[0]["outcome"] == "registered"
    assert max(sizes) < 200 * 2**20


def test_a_trainer_that_dies_is_replaced_and_its_cycle_registers_once(tansu_address: str, make: Make) -> None:
    service = make(tansu_address, FIT__FULL_EPOCHS="80", FIT__PATIENCE="80")
    service.fill()
    service.start()
    service.wait_for_step("fit", 0)
    (trainer,) = service.trainers()
    trainer.kill()
    service.wait_for_cycles(1)
    (version,) = service.versions()
    failed = [line for line in service.log() if line["event"] == TRAINER_FAILED]
    assert [line["cycle_id"] for line in failed] == [version["cycle_id"]]
    assert "ended with code -9" in failed[0]["reason"]


def test_a_cycle_that_keeps_failing_gives_its_users_back(tansu_address: str, make: Make) -> None:
    service = make(tansu_address, TRAINER__ATTEMPTS="2")
    service.fill()
    (service.folder / "registry").write_text("a file where the registry's folder should be")
    service.start()
    service.wait_for_cycles(1)
    (ended,) = service.ended()[:1]
    assert ended["outcome"] == "failed"
    assert "registry" in ended["reason"]
    (service.folder / "registry").unlink()
    service.wait_for_cycles(2)
    assert service.versions()[0]["changed_users"] == 400


def test_operators_train_and_look_while_it_runs_and_while_it_does_not(tansu_address: str, make: Make) -> None:
    service = make(tansu_address)
    service.fill()
    service.topic.send([(None, b"{no json", ())])
    service.start()
    service.wait_for_cycles(1)
    wait_until(lambda: service.counted().dead_letters == 1, 20, "the dead letter")

    status = service.status()
    assert status.keys() >= {"state", "lag", "pending", "cycle", "champion", "dead_letters"}
    assert status["pending"] == {"users": 0, "untried_users": 0, "oldest_age_s": None}
    assert (status["champion"], status["cycle"]) == (1, None)
    assert (status["last_cycle"]["outcome"], status["last_cycle"]["version"]) == ("registered", 1)
    (letter,) = json.loads(service.call("dead-letters", "list", "--json").stdout)
    assert "Invalid JSON" in letter["reason"]

    nothing = service.call("train")
    assert (nothing.returncode, "nothing is pending" in nothing.stdout) == (0, True)
    full = service.call("train", "--full")
    assert (full.returncode, "registered as version 2" in full.stdout) == (0, True), full

    assert service.stop() == 0
    assert service.status()["state"] == "stopped"
    again = service.call("train", "--full")
    assert (again.returncode, "registered as version 3" in again.stdout) == (0, True), again


def test_a_replay_learns_a_window_again_and_moves_no_live_offset(kafka_address: str, make: Make) -> None:
    service = make(kafka_address)
    begin = datetime.now(UTC) - timedelta(minutes=5)
    service.fill()
    service.topic.send([(None, b"{no json", ())])
    service.start()
    service.wait_for_cycles(1)
    wait_until(lambda: sum(committed(service).values()) == 401, 20, "Kafka's offsets to follow the ledger's")
    at = committed(service)
    dry = service.call("replay", "--from", begin.isoformat(), "--dry-run")
    assert (dry.returncode, "401 events of 400 users" in dry.stdout) == (0, True), dry
    assert service.status()["pending"]["users"] == 0
    replayed = service.call("replay", "--from", begin.isoformat())
    assert (replayed.returncode, "registered as version 2" in replayed.stdout) == (0, True), replayed
    assert committed(service) == at
    version = service.versions()[1]
    assert (version["kind"], version["changed_users"], version["offsets"]) == ("backfill", 400, {})
    assert sum(end - start for spans in version["replayed"][service.topic.name].values() for start, end in spans) == 401

    assert service.stop() == 0
    future = service.call("replay", "--from", (datetime.now(UTC) + timedelta(days=1)).isoformat(), "--to", "2099-01-01")
    assert (future.returncode, "holds no events" in future.stdout) == (0, True), future
    backwards = service.call("replay", "--from", "2026-01-02", "--to", "2026-01-01")
    assert backwards.returncode == 2
    alone = service.call("replay", "--from", begin.isoformat())
    assert (alone.returncode, "registered as version 3" in alone.stdout) == (0, True), alone


def committed(service: Service) -> dict[int, int]:
    """The group's committed offsets."""
    group = service.environment["RETRAINER_KAFKA__GROUP_ID"]
    consumer: Any = KafkaConsumer(bootstrap_servers=service.topic.broker, group_id=group, enable_auto_commit=False)
    found = {number: consumer.committed(TopicPartition(service.topic.name, number)) for number in range(3)}
    consumer.close(autocommit=False)
    return found


def test_an_operator_takes_over_when_whoever_held_the_state_is_gone(tansu_address: str, make: Make) -> None:
    """The holder was another `retrainer train`, which takes up nobody else's request."""
    service = make(tansu_address)
    service.fill()
    command = [str(RETRAINER), "train", "--full"]
    with only_one(service.folder):
        operator = subprocess.Popen(command, env=service.environment, stdout=subprocess.PIPE, text=True)
        assert operator.stdout is not None
        assert "waiting for its cycle" in operator.stdout.readline()
        assert operator.poll() is None
    told, _ = operator.communicate(timeout=300)
    assert (operator.returncode, "registered as version 1" in told) == (0, True), told
    assert [cycle["kind"] for cycle in service.versions()] == ["bootstrap"]


def test_an_operator_finishes_the_cycle_of_a_service_that_died_over_it(tansu_address: str, make: Make) -> None:
    service = make(tansu_address, FIT__FULL_EPOCHS="80", FIT__PATIENCE="80")
    service.fill()
    service.start()
    service.wait_for_cycles(1)
    command = [str(RETRAINER), "train", "--full"]
    operator = subprocess.Popen(command, env=service.environment, stdout=subprocess.PIPE, text=True)
    service.wait_for_step("fit", 1)
    service.kill()
    told, _ = operator.communicate(timeout=90)
    assert (operator.returncode, "registered as version 2" in told) == (0, True), told
    assert [version["kind"] for version in service.versions()] == ["bootstrap", "full"]


def test_rows_that_are_gone_or_unsound_do_not_hold_up_the_rest(tansu_address: str, make: Make) -> None:
    service = make(tansu_address)
    service.fill()
    service.start()
    service.wait_for_cycles(1)
    row = dict(service.world.row())
    service.store.commit(
        {**service.world.rows(names(20)), "u30": {**row, "taste": [1.0]}, "u31": {**row, "habit": [float("nan")] * 5}},
        ["u40", "u41"],
    )
    service.topic.relay(service.store)
    service.wait_for_cycles(2)
    read = next(line for line in service.log()[::-1] if line["event"] == CYCLE_STEP and line["step"] == "read")
    assert read["facts"] == {"accepted": 20, "deleted": 2, "refused": 2}
    report = json.loads((service.folder / "registry/two_tower_recommender/2/manifest.json").read_text())
    assert report["read_report"]["refused"].keys() == {"u30", "u31"}
    assert report["pair_report"]["users"] == 396


def test_a_ledger_that_somebody_holds_is_waited_for_and_nothing_is_lost(tansu_address: str, make: Make) -> None:
    service = make(tansu_address, KAFKA__MAX_POLL_INTERVAL_MS="8000")
    service.fill()
    service.start()
    service.wait_for_cycles(1)
    holder = sqlite3.connect(service.folder / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    service.wave(1)
    wait_until(lambda: [line for line in service.log() if line["event"] == LEDGER_REFUSES_CHANGES], 40, "the refusal")
    holder.execute("ROLLBACK")
    holder.close()
    service.wait_for_cycles(2)
    assert [version["changed_users"] for version in service.versions()] == [400, 40]
    assert not [line for line in service.log() if line["event"] == LISTENER_FAILED]


def health(service: Service) -> int:
    checked = subprocess.run(
        [sys.executable, "-m", "consumer.health"],
        env={**service.environment, "RETRAINER_HEALTH__MAX_AGE": "3"},
        capture_output=True,
        check=False,
    )
    return checked.returncode


def test_the_health_check_turns_bad_when_the_listener_stops(tansu_address: str, make: Make) -> None:
    service = make(tansu_address)
    assert health(service) == 1
    service.start()
    wait_until(lambda: health(service) == 0, 40, "good health")
    assert service.process is not None
    os.kill(service.process.pid, signal.SIGSTOP)
    wait_until(lambda: health(service) == 1, 20, "bad health")
    os.kill(service.process.pid, signal.SIGCONT)
    wait_until(lambda: health(service) == 0, 20, "good health again")
    assert service.stop() == 0
    assert health(service) == 1


def test_wrong_starts_end_with_one_readable_message(tansu_address: str, make: Make) -> None:
    service = make(tansu_address, TRIGGER__CHANGED_USERS="-1", KAFKA__TOPIK="x")
    wrong = service.call("run")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert "RETRAINER_TRIGGER__CHANGED_USERS" in wrong.stderr
    assert "RETRAINER_KAFKA__TOPIK" in wrong.stderr

    running = make(tansu_address)
    running.start()
    wait_until(lambda: (running.folder / "status.json").exists(), 30, "the service to be up")
    second = running.call("run")
    assert second.returncode == 1
    assert "another retrainer works on" in second.stderr
    assert running.call("bogus").returncode == 2


def test_it_says_that_it_waits_for_its_broker(make: Make, tansu_address: str) -> None:
    service = make(tansu_address)
    service._settings["KAFKA__BOOTSTRAP_SERVERS"] = "127.0.0.1:9"
    service.start()
    wait_until(lambda: [line for line in service.log() if line["event"] == WAITING_FOR_BROKER], 30, "a word of it")
    wait_until(lambda: service.status()["state"] == "waiting for broker", 30, "the status to say so, too")
    assert health(service) == 0
    assert service.stop() == 0
