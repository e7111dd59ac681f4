"""Every alert fires once: a real Prometheus watches a real service; what each alert watches is broken, and mended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaAdminClient, TopicPartition

from schemas.cycle import Outcome
from tests.brokers.apache_kafka import ApacheKafka, free_port
from tests.integration.service import Service
from tests.prometheus import Prometheus, prometheus
from tests.waiting import wait_until
from tests.worlds import names

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(1800),
    pytest.mark.usefixtures("prometheus_can_run", "kafka_can_run"),
]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ApacheKafka]:
    """One that may be frozen: nobody else uses it."""
    folder = tmp_path / "broker"
    folder.mkdir()
    made = ApacheKafka(folder)
    made.start()
    yield made
    made.kill()


class Watched:
    """A service, and the Prometheus that watches it."""

    def __init__(self, service: Service, watch: Prometheus) -> None:
        self.service = service
        self.watch = watch
        self.fired: set[str] = set()

    def fires(self, alert: str, seconds: float = 60) -> None:
        what = f"Retrainer{alert} to fire; see {self.service.folder / 'service.log'}"
        wait_until(lambda: f"Retrainer{alert}" in self.watch.firing(), seconds, what)
        self.fired.add(alert)

    def silent(self, seconds: float = 60) -> None:
        what = f"all alerts to end; see {self.service.folder / 'service.log'}"
        wait_until(lambda: not self.watch.firing() and self.watch.value("up") == 1, seconds, what)

    def sees(self, query: str, value: float, seconds: float = 60) -> None:
        """Wait until the one value is so high, or 0 where that is asked for: the newest scrape may be yet to come."""

        def seen() -> bool:
            found = self.watch.value(query)
            return found is not None and (found >= value if value else found == 0)

        wait_until(seen, seconds, f"{query} to be {value}; see {self.service.folder / 'service.log'}")


@contextmanager
def watching(folder: Path, broker: str, **more: str) -> Iterator[Watched]:
    """A service with a first version, that a Prometheus watches."""
    port, home = free_port(), folder / "service"
    home.mkdir()
    own = {"HTTP__ENABLED": "true", "HTTP__PORT": str(port), "TRAINER__ATTEMPTS": "1", "TRIGGER__MAX_STALENESS": "5"}
    service = Service(home, broker, **own, **more)
    service.fill()
    service.start()
    with closing(service), prometheus(folder / "prometheus", f"127.0.0.1:{port}") as watch:
        service.wait_for_cycles(1)
        yield Watched(service, watch)


@pytest.fixture
def watched(tmp_path: Path, broker: ApacheKafka) -> Iterator[Watched]:
    with watching(tmp_path, broker.address) as found:
        yield found


def test_every_alert_fires_once_and_ends(watched: Watched, broker: ApacheKafka) -> None:
    service, watch = watched.service, watched.watch
    watched.silent()
    watched.sees("max(retrainer_champion_info)", 1)
    watched.sees('retrainer_pending{what="users"}', 0)

    service.topic.send([(b"u1", b"not what an event looks like", ())])
    watched.fires("DeadLetters")
    discard = "dead-letters", "discard", "--all", "--yes", "--reason", "the test is the cause"
    assert service.call(*discard).returncode == 0
    watched.silent()

    spoiled = service.world.rows(names(200))
    for row in spoiled.values():
        row["habit"] = np.full_like(row["habit"], np.nan)
    service.store.commit(spoiled)
    service.topic.relay(service.store)
    watched.fires("Held", 120)
    assert "refused_share" in {one["limit"] for one in watch.labels("RetrainerHeld")}
    watched.fires("NoVersion", 120)  # as nothing is learned meanwhile
    watched.sees('retrainer_refused_rows_total{what="users", reason="not_finite"}', 200)
    service.store.commit(service.world.rows(names(200)))
    service.topic.relay(service.store)
    watched.silent(120)
    watched.sees('sum(retrainer_cycles_total{outcome="held"})', 1)

    registry = service.state_dir / "registry"
    registry.rename(registry.with_name("away"))
    registry.write_text("a file where the folder was")
    service.wave(1)
    watched.fires("Failing", 120)
    registry.unlink()
    registry.with_name("away").rename(registry)
    watched.silent(120)
    watched.sees('sum(retrainer_call_duration_seconds_count{where="registry", outcome="error"})', 1)
    assert Outcome.FAILED in {line["outcome"] for line in service.ended()}

    broker.freeze()
    watched.fires("Stalled", 120)
    broker.thaw()
    watched.silent(120)

    with closing(sqlite3.connect(service.state_dir / "ledger.db", timeout=60)) as ledger:
        ledger.execute("ALTER TABLE portions RENAME TO away")
        watched.fires("LedgerDown")
        watched.fires("Trouble")
        ledger.execute("ALTER TABLE away RENAME TO portions")
    watched.silent(120)

    assert service.stop() == 0
    watched.fires("Down")
    service.topic.send_users(names(3), partition=0)
    with closing(KafkaAdminClient(bootstrap_servers=broker.address)) as admin:
        admin.delete_records({TopicPartition(service.topic.name, 0): -1})
    service.start()
    watched.fires("Gaps", 120)
    assert "RetrainerDown" not in watch.firing()
    assert service.call("train", "--full").returncode == 0
    assert service.call(*discard).returncode == 0  # a gap is a dead letter, too
    watched.silent(120)

    assert watched.fired == {
        *("DeadLetters", "Held", "NoVersion", "Failing", "Stalled", "LedgerDown", "Trouble", "Down", "Gaps"),
    }


def test_a_promise_is_at_risk_and_then_broken_while_a_person_has_paused_cycles(
    tmp_path: Path, tansu_address: str
) -> None:
    with watching(tmp_path, tansu_address, SLO__FRESHNESS="45s") as watched:
        service, watch = watched.service, watched.watch
        watched.silent(120)
        watched.sees("retrainer_freshness_target_seconds", 45)
        watched.sees('retrainer_freshness{state="kept"}', 1)
        assert service.call("pause", "--reason", "to see what becomes of the promise").returncode == 0
        service.wave(1)
        watched.fires("FreshnessAtRisk", 60)
        watched.fires("FreshnessBroken", 120)
        assert "RetrainerFreshnessAtRisk" not in watch.firing()  # the other says more
        watched.sees("retrainer_paused", 1)
        assert service.call("resume", "--reason", "seen").returncode == 0
        watched.silent(120)
