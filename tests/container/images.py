"""The images: what the Dockerfile and the compose file name, pulled where that is possible and made here otherwise."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.brokers.apache_kafka import jars
from tests.container.engine import CACHE, Engine, timed

PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
KAFKA_IMAGE = "docker.io/apache/kafka:4.1.1"
IMAGE = "localhost/retrainer:test"
RESOLVER = "/etc/resolv.conf:/etc/resolv.conf:ro"
BUILD = ("buildah", "bud", "--isolation", "chroot", "--network", "host", "--format", "docker", "--volume", RESOLVER)
"""No engine and no network of its own; the Docker format, since the other one knows no health check."""


def prepare(engine: Engine) -> None:
    """Have all three images in the engine's store. From nothing a matter of minutes, a second when all are there."""
    engine.install("podman", "buildah", "runc", "netavark", "aardvark-dns", "iptables")
    _have(engine, PYTHON_IMAGE, _make_python)
    _have(engine, KAFKA_IMAGE, _make_kafka)
    _build(engine)


def _have(engine: Engine, image: str, make: Callable[[Engine], None]) -> None:
    if engine.podman("image", "exists", image, check=False).returncode == 0:
        return
    try:
        engine.podman("pull", "--quiet", image, within=300)
    except (RuntimeError, subprocess.TimeoutExpired):
        with timed(f"making a stand-in for {image}"):
            make(engine)


def _make_python(engine: Engine) -> None:
    """The least Debian of the same release, with its own Python, which is of the same version."""
    engine.install("debootstrap")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        root = Path(folder, "root")
        include = "--include=python3,python3-venv,ca-certificates"
        engine.run("debootstrap", "--variant=minbase", include, "bookworm", root, within=600)
        archive = Path(folder, "root.tar")
        engine.run("tar", "-C", root, "--exclude=./var/cache/apt/archives/*.deb", "-cf", archive, ".")
        engine.podman("import", str(archive), PYTHON_IMAGE, within=300)


def _make_kafka(engine: Engine) -> None:
    """The same broker from Maven Central's jars, on Debian's Java; `kafka/run` reads the same environment."""
    engine.install("mvn")
    here = Path(__file__).parent / "kafka"
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        shutil.copytree(jars(), Path(folder, "libs"))
        shutil.copy(here / "run", folder)
        engine.run(*BUILD, "--file", here / "Dockerfile", "--tag", KAFKA_IMAGE, folder, within=600)


def _build(engine: Engine) -> None:
    """Build the image as `docker build .` does. What this machine's pip needs is mounted, for the build alone."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder, timed(f"building {IMAGE}"):
        volumes = _pip_volumes(Path(folder, "pip.conf"))
        engine.run(*BUILD, "--layers", *volumes, "--tag", IMAGE, ".", within=1200)
    engine.podman("image", "prune", "--force", "--filter", "until=168h")  # layers of builds long gone


def _pip_volumes(file: Path) -> list[str]:
    """This machine's pip configuration, its environment included, as a file to mount; and the paths that it names."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    config = configparser.RawConfigParser()
    mounts = {"/etc/pip.conf": str(file)}
    for line in listed.stdout.splitlines():
        if (found := re.fullmatch(r"(.+?)\.([\w-]+)=(.*)", line)) is None:
            continue
        section, name, value = found[1].replace(":env:", "global"), found[2], str(ast.literal_eval(found[3]))
        if not config.has_section(section):
            config.add_section(section)
        config.set(section, name, value.replace("\n", "\n  "))
        mounts |= {path: path for path in value.split() if path.startswith("/") and Path(path).exists()}
    with file.open("w") as stream:
        config.write(stream)
    return [word for inside, outside in mounts.items() for word in ("--volume", f"{outside}:{inside}:ro")]
