"""Brokers and databases that the tests share, each started once, and a loud word when one had to be left out."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import settings

from consumer.ledger.ledger import Ledger, open_ledger
from retrainer.demo.broker import embedded_broker
from tests import sendable, untouched
from tests.brokers import apache_kafka
from tests.brokers.secure_kafka import SecureKafka
from tests.brokers.secure_kafka import secure_kafka as start_secure_kafka
from tests.databases import pgbouncer
from tests.databases import postgresql as databases
from tests.databases.postgresql import PostgreSQL
from tests.leftovers import guarded
from tests.tiers import order
from tests.uncached_loggers import never_cached

_WAYS_OUT = {
    "Apache Kafka": "The other tests ran on Tansu. Install Java 17 and Maven to run them all.",
    "PostgreSQL": "The ledger was tested on SQLite only. Install PostgreSQL's server to test both.",
    "PgBouncer": "The ledger was tested without a pooler only. Install PgBouncer to test both.",
    "Prometheus": "Alerts were not tried. Install Debian's prometheus to test them.",
    "Chromium": "Pages of reports were not opened in a browser. Install Chromium to test them.",
    "full and read-only disks": "They need a machine that lets root mount a tmpfs and a loop device.",
}
"""What may be left out, and how not to."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Guard the run. What tests keep in `tmp_path` stays where pytest keeps it, for whoever looks for a cause."""
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ.setdefault("RETRAINER_HTTP__ENABLED", "false")  # so that no two services of tests want one port
    os.environ.setdefault("RETRAINER_REPORTS__HTML", "false")  # a page costs as much as some cycles of the tests
    # A machine that is busy is no fault of the code. What a test sets itself counts, and so does --hypothesis-profile.
    settings.register_profile("patient", settings(), deadline=None)
    settings.load_profile("patient")
    never_cached()
    held = ExitStack()
    held.enter_context(guarded())
    config.add_cleanup(held.close)
    config.pluginmanager.register(sendable, "sendable")
    config.pluginmanager.register(untouched, "untouched")
    config.pluginmanager.register(order, "order")


@pytest.fixture(scope="session")
def kafka_can_run() -> None:
    """Without Java or Maven the tests that need an Apache Kafka are skipped, or fail where REQUIRE_KAFKA=1."""
    lacking = apache_kafka.missing()
    if lacking is not None:
        if os.environ.get("REQUIRE_KAFKA") == "1":
            pytest.fail(f"REQUIRE_KAFKA=1, but Apache Kafka cannot run: {lacking}")
        pytest.skip(f"Apache Kafka left out: {lacking}")


@pytest.fixture(scope="session")
def kafka_address(kafka_can_run: None) -> Iterator[str]:
    """An Apache Kafka."""
    with apache_kafka.apache_kafka() as address:
        yield address


@pytest.fixture(scope="session")
def secure_kafka(kafka_can_run: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """An Apache Kafka with listeners for TLS, client certificates and SASL."""
    with start_secure_kafka(tmp_path_factory.mktemp("secure-kafka")) as secured:
        yield secured


@pytest.fixture(scope="session")
def tansu_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Tansu."""
    with embedded_broker(tmp_path_factory.mktemp("tansu") / "broker.log") as address:
        yield address


@pytest.fixture(params=["kafka", "tansu"])
def broker(request: pytest.FixtureRequest) -> str:
    """The address of a broker: the same tests run on each."""
    return str(request.getfixturevalue(f"{request.param}_address"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL. Where it is not installed its tests are skipped, or fail where REQUIRE_POSTGRES=1."""
    lacking = databases.missing()
    if lacking is not None:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(f"REQUIRE_POSTGRES=1, but PostgreSQL cannot run: {lacking}")
        pytest.skip(f"PostgreSQL left out: {lacking}")
    with databases.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer_can_run() -> None:
    """Without PgBouncer the tests that need one are skipped, or fail where REQUIRE_PGBOUNCER=1."""
    lacking = pgbouncer.missing()
    if lacking is not None:
        if os.environ.get("REQUIRE_PGBOUNCER") == "1":
            pytest.fail(f"REQUIRE_PGBOUNCER=1, but PgBouncer cannot run: {lacking}")
        pytest.skip(f"PgBouncer left out: {lacking}")


@pytest.fixture(scope="session")
def prometheus_can_run() -> None:
    """Without Prometheus and its promtool their tests are skipped, or fail where REQUIRE_PROMETHEUS=1."""
    lacking = [program for program in ("prometheus", "promtool") if shutil.which(program) is None]
    if lacking:
        if os.environ.get("REQUIRE_PROMETHEUS") == "1":
            pytest.fail(f"REQUIRE_PROMETHEUS=1, but there is no {' and no '.join(lacking)}")
        pytest.skip(f"Prometheus left out: there is no {' and no '.join(lacking)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger may be made: the same tests run on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_schema()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger in a file of its own."""
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Nobody should read a green run and believe that something was tested when it was not."""
    # By the reports, as the tests themselves may have run in processes of their own.
    skipped = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    for what, way_out in _WAYS_OUT.items():
        reasons = [reason.removeprefix("Skipped: ") for reason in skipped if f"{what} left out" in reason]
        if reasons:
            terminalreporter.section(f"{what} left out".upper(), sep="!", red=True, bold=True)
            terminalreporter.write_line(f"{len(reasons)} tests: {reasons[0]}. {way_out}")
