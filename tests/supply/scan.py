"""Known faults of what the image is made of.

    python -m tests.supply.scan [--image NAME]

Exit codes: 0 where no fault is known that an update would mend, 1 where one is, or where the list of what is ignored is
wrong. What could not be looked up is said loudly, and counts as a failure where REQUIRE_ADVISORIES=1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tests.supply.debian import Image, NoImage, codename_here, read_image, security_updates, simulated_upgrade
from tests.supply.sbom import LOCK, pinned

IGNORED = Path(__file__).with_name("ignored.toml")


class WrongList(Exception):  # noqa: N818
    """The list of what is ignored is wrong; the message says where."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A known fault that an update mends."""

    package: str
    installed: str
    id: str
    """Of the advisory, or the version of Debian's update."""
    mended_in: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """What an advisory service has said of the lock."""

    faults: tuple[Fault, ...]
    unmended: tuple[str, ...]
    """Faults that no release mends, in words."""
    unknown: tuple[str, ...]
    """Packages that it could say nothing of."""
    asked: int


def audit(said: Mapping[str, Any]) -> Audit:
    """The answer of `pip-audit --format json`."""
    faults, unmended, unknown = [], [], []
    for one in said["dependencies"]:
        if "skip_reason" in one:  # it says so for a service that does not answer, too, and ends with 0
            unknown.append(one["name"])
            continue
        for vuln in one["vulns"]:
            if vuln["fix_versions"]:
                mended_in = ", ".join(vuln["fix_versions"])
                aliases = tuple(vuln.get("aliases", ()))
                faults.append(Fault(one["name"], one["version"], vuln["id"], mended_in, aliases))
            else:
                unmended.append(f"{one['name']} {one['version']}: {vuln['id']}")
    return Audit(tuple(faults), tuple(unmended), tuple(unknown), len(said["dependencies"]))


def ignored(text: str, today: date) -> dict[str, str]:
    """What is ignored today: the reason by id. An entry counts up to its day, and then the fault counts again.

    Raises:
        WrongList: an entry lacks its reason, its day or its id.
    """
    found = {}
    for number, entry in enumerate(tomllib.loads(text).get("ignored", []), 1):
        if not all(entry.get(name) for name in ("id", "reason")) or not isinstance(entry.get("until"), date):
            raise WrongList(f"entry {number} needs an id, a reason and a day, as in: until = 2027-01-31")
        if today <= entry["until"]:
            found[entry["id"]] = entry["reason"]
    return found


def standing(faults: Iterable[Fault], ignored: Mapping[str, str]) -> list[Fault]:
    """The faults that are not ignored, by their id, one of their other names, or that of the package."""
    return [one for one in faults if not {one.id, one.package, *one.aliases} & ignored.keys()]


def debian_faults(image: Image) -> list[Fault]:
    """Packages of an image for which there is a security update.

    Raises:
        NoImage: nobody here knows.
    """
    here = codename_here()
    if image.codename != here:
        raise NoImage(f"the image is Debian {image.codename}, and apt of this machine knows {here} alone")
    found = security_updates(simulated_upgrade(image.status))
    return [Fault(one.package, one.installed, f"update {one.available}", one.available) for one in found]


def _ask() -> Audit:
    """Ask the package index what it knows of the lock.

    Raises:
        NoImage: it cannot be asked.
    """
    plain = "".join(f"{name}=={release}\n" for name, release in pinned(LOCK.read_text()).items())
    command = [sys.executable, "-m", "pip_audit", "-r", "/dev/stdin", "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off"], input=plain, capture_output=True, text=True, check=False, timeout=900
    )
    try:
        return audit(json.loads(done.stdout))
    except ValueError:
        said = done.stderr.strip().splitlines()
        raise NoImage(said[-1][:300] if said else f"pip-audit ended with {done.returncode}") from None


def main(arguments: Iterable[str] | None = None) -> int:
    """Scan; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", help="an image of this machine, whose Debian packages are looked at too")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    try:
        waived = ignored(IGNORED.read_text(), datetime.now(UTC).date())
    except (WrongList, tomllib.TOMLDecodeError) as error:
        print(f"{IGNORED.name}: {error}", file=sys.stderr)
        return 1
    faults: list[Fault] = []
    unknown: list[str] = []
    try:
        told = _ask()
        faults += told.faults
        print(f"Python: {told.asked - len(told.unknown)} packages of the lock looked up")
        for one in told.unmended:
            print(f"  no release mends {one}")
        if told.unknown:
            unknown.append(f"{len(told.unknown)} of {told.asked} Python packages: the index says nothing of them")
    except NoImage as error:
        unknown.append(f"the Python packages: {error}")
    try:
        if asked.image:
            image = read_image(asked.image)
            faults += debian_faults(image)
            print(f"Debian: {len(image.packages)} packages of {asked.image} looked up")
        else:
            unknown.append("the Debian packages: no --image is named")
    except NoImage as error:
        unknown.append(f"the Debian packages: {error}")
    left = standing(faults, waived)
    for fault in left:
        print(f"  {fault.package} {fault.installed}: {fault.id}, mended in {fault.mended_in}")
    print(f"{len(left)} known faults that an update mends, {len(faults) - len(left)} ignored by {IGNORED.name}")
    for what in unknown:
        print(f"NOT LOOKED UP: {what}", file=sys.stderr)
    return 1 if left or (unknown and os.environ.get("REQUIRE_ADVISORIES") == "1") else 0


if __name__ == "__main__":
    sys.exit(main())
