"""The compose file's services, started by podman-compose, and what a person on that machine can ask them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.brokers.apache_kafka import free_port
from tests.container.engine import REPOSITORY, Engine

PROJECT = "retrainer-test"
SECRET = "a-password-that-must-not-be-seen"  # noqa: S105  (of nothing)
FILES = (REPOSITORY / "docker-compose.yml", Path(__file__).parent / "compose.yml")


class Stack:
    """Broker, service and simulator. `secrets` is the folder that the compose file mounts."""

    service = f"{PROJECT}_retrainer_1"

    def __init__(self, engine: Engine, secrets: Path) -> None:
        self._engine = engine
        secrets.mkdir()
        for name in ("kafka_sasl_password", "http_token"):
            secrets.joinpath(name).write_text(SECRET)
        self.page = free_port()
        ports = {"RETRAINER_KAFKA_PORT": str(free_port()), "RETRAINER_PAGE_PORT": str(self.page)}
        self._environment = {"RETRAINER_SECRETS": str(secrets), **ports}

    def up(self) -> None:
        """Start everything, on empty volumes."""
        self.down()
        self._compose("up", "--detach", "--no-build")

    def down(self) -> None:
        """Remove containers, volumes and network, whatever state they are in."""
        self._compose("down", "--volumes", "--timeout", "2")

    def _compose(self, *arguments: str) -> None:
        files = [word for file in FILES for word in ("--file", str(file))]
        command = ("podman-compose", *files, "--project-name", PROJECT, "--profile", "demo", *arguments)
        self._engine.run(*command, within=120, environment=self._environment)

    def podman(self, *arguments: str, check: bool = True) -> str:
        """What `podman` prints for the arguments."""
        return self._engine.podman(*arguments, check=check).stdout

    def execute(self, *command: str) -> tuple[int, str]:
        """Exit status and output of a command inside the service's container."""
        done = self._engine.podman("exec", self.service, *command, check=False)
        return done.returncode, done.stdout + done.stderr

    def versions(self) -> list[dict[str, Any]]:
        """The versions in the registry, or none while the service cannot tell."""
        return self._told("versions") or []

    def cycle(self) -> dict[str, Any] | None:
        """The cycle that is running, if any."""
        return (self._told("status") or {}).get("cycle")

    def _told(self, command: str) -> Any:
        done = self._engine.podman("exec", self.service, "retrainer", command, "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def state(self, field: str) -> str:
        """A field of podman's record of the service's container, such as `Pid` or `ExitCode`."""
        return self.podman("inspect", "--format", f"{{{{.State.{field}}}}}", self.service).strip()

    def signal(self, number: int) -> None:
        """Send a signal to the service from outside, as the kernel does when memory runs out."""
        os.kill(int(self.state("Pid")), number)

    def healthy(self) -> bool:
        """Whether the image's health check is content now."""
        return self._engine.podman("healthcheck", "run", self.service, check=False).returncode == 0

    def logs(self, lines: int = 60) -> str:
        """The last lines of every container."""
        names = self.podman("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={PROJECT}").split()
        told = [self._engine.podman("logs", "--tail", str(lines), name, check=False) for name in names]
        return "\n".join(f"== {name}\n{one.stdout}{one.stderr}" for name, one in zip(names, told, strict=True))
