"""The Debian packages of an image: which, under which licences, and which security updates they lack."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

_STATUS, _RELEASE = "var/lib/dpkg/status", "usr/lib/os-release"
_COPYRIGHT = re.compile(r"^(?:\./)?usr/share/doc/([^/]+)/copyright$")
_COPIED = f"cd / && tar -ch {_STATUS} {_RELEASE} $(ls -d usr/share/doc/*/copyright)"
_UPDATE = re.compile(r"^Inst (\S+) \[([^]]+)\] \((\S+) ([^)]*)\)", re.MULTILINE)


class NoImage(Exception):  # noqa: N818
    """The image cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package."""

    name: str
    version: str
    architecture: str
    source: str
    licenses: tuple[str, ...] = ()
    """As its copyright file names them; empty where that is written for people only."""


@dataclass(frozen=True, slots=True)
class Update:
    """A security update that is not installed."""

    package: str
    installed: str
    available: str


@dataclass(frozen=True, slots=True)
class Image:
    """What was read of an image."""

    packages: tuple[Package, ...]
    codename: str
    """Of its Debian release."""
    status: str
    """What dpkg knows of it."""


def read_image(name: str) -> Image:
    """Read an image of this machine by podman or docker; nothing of Retrainer runs.

    Raises:
        NoImage: there is no engine, or no such image.
    """
    engine = shutil.which("podman") or shutil.which("docker")
    if engine is None:
        raise NoImage("neither podman nor docker is here")
    command = [engine, "run", "--rm", "--network", "none", "--entrypoint", "sh", name, "-c", _COPIED]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    if not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoImage(f"{Path(engine).name} cannot read {name}: {said[-1] if said else 'it said nothing'}")
    return from_tar(done.stdout)


def from_tar(packed: bytes) -> Image:
    """The same from a tar of the root's files.

    Raises:
        NoImage: it is no image of Debian.
    """
    texts: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        for member in files:
            if member.isfile() and (opened := files.extractfile(member)) is not None:
                texts[member.name.removeprefix("./")] = opened.read().decode(errors="replace")
    if _STATUS not in texts:
        raise NoImage(f"it has no {_STATUS}, so it is no image of Debian")
    copyrights = {found[1]: text for path, text in texts.items() if (found := _COPYRIGHT.match(path))}
    packages = tuple(
        replace(one, licenses=tuple(licenses(copyrights.get(one.name, "")))) for one in installed(texts[_STATUS])
    )
    codename = re.search(r"^VERSION_CODENAME=(.*)$", texts.get(_RELEASE, ""), re.MULTILINE)
    return Image(packages, codename[1].strip('"') if codename else "unknown", texts[_STATUS])


def installed(status: str) -> Iterator[Package]:
    """The packages that dpkg's status file says are installed."""
    for paragraph in re.split(r"\n\s*\n", status):
        fields = _fields(paragraph)
        if fields.get("Status", "").endswith(" installed"):
            name = fields["Package"]
            source = fields.get("Source", name).partition(" ")[0]
            yield Package(name, fields["Version"], fields.get("Architecture", "all"), source)


def licenses(copyright_file: str) -> list[str]:
    """The short names in a machine-readable copyright file, in order; none of any other file."""
    if not copyright_file.lstrip().startswith("Format"):
        return []
    return sorted(set(re.findall(r"^License:[ \t]*(\S[^\n]*)", copyright_file, re.MULTILINE)))


def security_updates(simulated: str) -> list[Update]:
    """The security updates in what `apt-get --simulate dist-upgrade` says."""
    return [
        Update(name, old, new)
        for name, old, new, origins in _UPDATE.findall(simulated)
        if "-security" in origins.lower()
    ]


def simulated_upgrade(status: str) -> str:
    """What apt of this machine would do with packages of that status file.

    Raises:
        NoImage: apt is not here, or cannot say.
    """
    if (apt := shutil.which("apt-get")) is None:
        raise NoImage("there is no apt-get here, so nobody knows which security updates there are")
    with TemporaryDirectory() as folder:
        file = Path(folder, "status")
        file.write_text(status)
        command = [apt, "-o", f"Dir::State::status={file}", "--simulate", "dist-upgrade"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise NoImage(f"apt-get cannot say which updates there are: {(done.stderr.strip().splitlines() or [''])[-1]}")
    return done.stdout


def codename_here(release: Path = Path("/etc/os-release")) -> str:
    """The release of Debian that this machine has: its apt knows the updates of that release alone."""
    try:
        found = re.search(r"^VERSION_CODENAME=(.*)$", release.read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip('"') if found else "unknown"


def _fields(paragraph: str) -> Mapping[str, str]:
    """The fields of one line; those of several are not needed here."""
    return dict(re.findall(r"^([A-Za-z-]+): ([^\n]*)$", paragraph, re.MULTILINE))
