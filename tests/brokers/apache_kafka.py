"""A real Apache Kafka, one node in KRaft mode, from Maven Central's jars on this machine's Java."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.waiting import wait_until

POM = Path(__file__).parent.parent / "kafka" / "pom.xml"
CLUSTER_ID = "retrainer-test-clustr1"

_HEAP = "-Xmx512m"


def missing() -> str | None:
    """What this machine lacks to run Apache Kafka; None if nothing."""
    lacking = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return f"{' and '.join(lacking)} not found" if lacking else None


def jars() -> Path:
    """The folder with Kafka's jars, fetched once into the cache."""
    cache = Path(os.environ.get("RETRAINER_CACHE", Path.home() / ".cache" / "retrainer-tests"))
    folder = cache / "kafka-jars" / _version()
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        subprocess.run(command, check=True)
        (folder / "complete").touch()
    return folder


@contextmanager
def apache_kafka() -> Iterator[str]:
    """A broker of its own, for as long as the block runs; gives its `host:port`."""
    with TemporaryDirectory(prefix="kafka-") as folder:
        broker = ApacheKafka(Path(folder))
        try:
            broker.start()
            yield broker.address
        finally:
            broker.stop()


class ApacheKafka:
    """One broker in a folder. It may be stopped and started again, at the same address and with its data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self._config = folder / "server.properties"
        self._config.write_text(_properties(folder / "data", port, controller))
        self._process: subprocess.Popen[bytes] | None = None
        self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._config)).wait(60)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = self._java("kafka.Kafka", str(self._config))
        wait_until(self._answers, 60, f"Apache Kafka at {self.address} to answer; see {self._folder / 'broker.log'}")

    def stop(self) -> None:
        """Stop it in good order."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Apache Kafka ended: {(self._folder / 'broker.log').read_text()[-2000:]}")
        try:
            KafkaAdminClient(bootstrap_servers=self.address, bootstrap_timeout_ms=1000).close()
        except (KafkaError, OSError):
            return False
        return True

    def _java(self, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        log4j = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}"
        with (self._folder / "broker.log").open("ab") as log:
            return subprocess.Popen(
                ["java", _HEAP, log4j, "-cp", f"{jars()}/*", main, *arguments], stdout=log, stderr=subprocess.STDOUT
            )


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _version() -> str:
    return POM.read_text().split("<artifactId>kafka_2.13</artifactId>")[1].split("<version>")[1].split("<")[0]


def _properties(data: Path, port: int, controller: int) -> str:
    return "\n".join(
        (
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names=CONTROLLER",
            f"log.dirs={data}",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "transaction.state.log.num.partitions=1",
            "group.initial.rebalance.delay.ms=0",
            "auto.create.topics.enable=false",
            "log.retention.check.interval.ms=1000",
            "",
        )
    )
