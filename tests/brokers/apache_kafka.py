"""A real Apache Kafka in KRaft mode, from Maven Central's jars on this machine's Java: one node or a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.brokers.security import Security
from tests.waiting import wait_until

POM = Path(__file__).parent.parent / "kafka" / "pom.xml"
CLUSTER_ID = "retrainer-test-clustr1"

_ALONE = {
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
}

BRISK = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
"""It answers after half the time and half the work, and never gets as fast as `LASTING`."""
LASTING = ("-Xmx512m",)
"""For what is measured on it."""


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
def apache_kafka(jvm: tuple[str, ...] = BRISK) -> Iterator[str]:
    """A broker of its own, for as long as the block runs; gives its `host:port`."""
    with TemporaryDirectory(prefix="kafka-") as folder:
        broker = ApacheKafka(Path(folder), node=Node(1, {1: free_port()}, jvm=jvm))
        try:
            broker.start()
            yield broker.address
        finally:
            broker.kill()  # nobody reads its data any more


@dataclass(frozen=True)
class Node:
    """Which node of which cluster a broker is. `controllers` has the controller's port of every node, by its id."""

    id: int
    controllers: Mapping[int, int]
    properties: Mapping[str, str] = field(default_factory=lambda: _ALONE)
    jvm: tuple[str, ...] = BRISK


class ApacheKafka:
    """One broker in a folder. It may be stopped and started again, at the same addresses and with its data.

    Args:
        folder: for its data, configuration and log.
        security: gives it listeners beside the plain one, in `addresses` by their names.
        node: where it is one of several; alone otherwise.
    """

    def __init__(self, folder: Path, security: Security | None = None, node: Node | None = None) -> None:
        self._folder = folder
        ports = free_ports(2 + len(security.protocols if security else ()))
        self.address = f"127.0.0.1:{ports.pop()}"
        node = node or Node(1, {1: ports[-1]})
        ports.pop()
        self.id = node.id
        self._jvm = [*node.jvm, *(security.jvm if security else ())]
        secured = dict(zip(security.protocols, ports, strict=True)) if security else {}
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in secured.items()}
        self._config = folder / "server.properties"
        self._config.write_text("\n".join(_properties(folder, self.address, node, self.addresses, security)))
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False
        users = security.format if security else []
        self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._config), *users).wait(60)

    @property
    def well(self) -> bool:
        """Whether it runs and is not frozen."""
        return self.runs and not self._frozen

    @property
    def runs(self) -> bool:
        """Whether it was started, and not stopped or killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        self.wait_for_answer()

    def launch(self) -> None:
        """Start it."""
        self._process = self._java("kafka.Kafka", str(self._config))

    def wait_for_answer(self) -> None:
        """Wait until it answers."""
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

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process, self._frozen = None, False

    def freeze(self) -> None:
        """SIGSTOP: its connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._frozen = False

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
                ["java", log4j, *self._jvm, "-cp", f"{jars()}/*", main, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
            )


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now, all different."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _version() -> str:
    return POM.read_text().split("<artifactId>kafka_2.13</artifactId>")[1].split("<version>")[1].split("<")[0]


def _properties(
    folder: Path, address: str, node: Node, secured: dict[str, str], security: Security | None
) -> list[str]:
    listeners = {"PLAINTEXT": address, **secured}
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **(security.protocols if security else {})}
    controller = node.controllers[node.id]
    voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in node.controllers.items())
    advertised = {**listeners, **(security.advertised if security else {})}
    return [
        "process.roles=broker,controller",
        f"node.id={node.id}",
        f"controller.quorum.voters={voters}",
        f"listeners={_joined('://', listeners)},CONTROLLER://127.0.0.1:{controller}",
        f"advertised.listeners={_joined('://', advertised)}",
        f"listener.security.protocol.map={_joined(':', protocols)}",
        "controller.listener.names=CONTROLLER",
        f"log.dirs={folder / 'data'}",
        "offsets.topic.num.partitions=1",
        "transaction.state.log.num.partitions=1",
        "group.initial.rebalance.delay.ms=0",
        "group.min.session.timeout.ms=1000",  # so that a killed member is missed soon
        "auto.create.topics.enable=false",
        "log.retention.check.interval.ms=1000",
        *(f"{name}={value}" for name, value in node.properties.items()),
        *(security.properties(folder) if security else ()),
        "",
    ]


def _joined(by: str, pairs: dict[str, str]) -> str:
    return ",".join(f"{name}{by}{value}" for name, value in pairs.items())
