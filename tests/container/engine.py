"""podman, buildah and podman-compose: run as root, without a daemon, on a store of their own.

The store is not the user's, so a stand-in for a public image never takes that image's name there.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.leftovers import at_the_end

REPOSITORY = Path(__file__).parents[2]
CACHE = Path(os.environ.get("RETRAINER_CACHE", "~/.cache/retrainer-tests")).expanduser()
PACKAGES = {"mvn": "maven"}
"""Debian's package for a command, where it has another name."""
_CLEAR_UP = (
    "sh",
    "-c",
    # A container that others depend on goes once they are gone, and only when it is asked for again.
    "for round in 1 2 3; do podman rm --all --force --time 1 && break; done;"
    " podman volume prune --force && podman network prune --force",
)

log = logging.getLogger(__name__)


class Engine:
    """Runs container commands. Images are kept in `CACHE`; everything else goes with the stack that made it."""

    def __init__(self) -> None:
        home = CACHE / "containers"
        home.mkdir(parents=True, exist_ok=True)
        # crun refuses hybrid cgroups, and the default limits cannot be raised inside another container.
        (home / "containers.conf").write_text(
            "[containers]\n"
            'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
            f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{home / "networks"}"\n'
        )
        (home / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{home / "storage"}"\nrunroot = "/run/retrainer-tests"\n'
        )
        beside = Path(sys.executable).parent  # podman-compose is installed where pytest is
        inherited = {name: value for name, value in os.environ.items() if name != "TMPDIR"}  # layers need more room
        self._environment = inherited | {
            "CONTAINERS_CONF": str(home / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
            "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
        }

    def run(
        self,
        *command: str | Path,
        within: float = 120,
        check: bool = True,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.CompletedProcess[str]:
        """Run a command for at most `within` seconds; where `check`, an exit status but 0 is an error that says why."""
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        if check and done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-60:])
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{tail}")
        return done

    def podman(self, *arguments: str, within: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `podman` with the arguments."""
        return self.run("podman", *arguments, within=within, check=check)

    def clear_up(self) -> None:
        """Remove all but the images, also of a run that was cut off; and have it done again when this one is gone."""
        if shutil.which("podman") is not None:
            self.run(*_CLEAR_UP)
        at_the_end(_CLEAR_UP, self._environment)

    def install(self, *commands: str) -> None:
        """Install what is missing of the commands, with Debian's apt-get."""
        path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/lib/podman"))  # podman keeps its network there
        missing = [PACKAGES.get(name, name) for name in commands if shutil.which(name, path=path) is None]
        if missing:
            with timed(f"apt-get install {' '.join(missing)}"):
                self.run("apt-get", "update", within=300)
                quiet = {"DEBIAN_FRONTEND": "noninteractive"}
                self.run("apt-get", "install", "--yes", *missing, within=600, environment=quiet)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log how long a block took."""
    log.info("%s ...", what)
    start = time.monotonic()
    yield
    log.info("%s: %.0f s", what, time.monotonic() - start)
