"""The bill of materials: every Python package of the lock and every Debian package of the image, as CycloneDX 1.6.

    python -m tests.supply.sbom [--image NAME] [--out FILE]

Python packages are those of `requirements/runtime.txt`, which is all that the image installs, with the licences that
the same packages in this environment name. Exit code 1 where what is written would be no CycloneDX.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.supply.debian import Image, NoImage, Package, read_image

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "runtime.txt"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\\n]+?))?\s*\\?$", re.MULTILINE)

Component = dict[str, Any]


def pinned(lock: str) -> dict[str, str]:
    """The packages that a lock installs here, by their normal name: those whose marker fits this machine."""
    from packaging.markers import Marker

    return {
        normal(name): release
        for name, release, marker in _PINNED.findall(lock)
        if not marker or Marker(marker).evaluate()
    }


def normal(name: str) -> str:
    """A package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bill(environment: Mapping[str, Any], lock: Mapping[str, str], image: Image | None) -> dict[str, Any]:
    """The bill, where `environment` is that of all that is installed here.

    Packages of the lock that are not installed here are in it too, without licence.
    """
    here = {normal(one["name"]): one for one in environment["components"]}
    python = [
        here[name] if name in here and here[name]["version"] == release else _unknown(name, release)
        for name, release in sorted(lock.items())
    ]
    kept = {one["bom-ref"] for one in python}
    debian = [_debian(one, image.codename) for one in image.packages] if image is not None else []
    own: Component = {"type": "application", "bom-ref": "retrainer", "name": "retrainer", "version": _own_version()}
    own["licenses"] = [{"license": {"id": "Apache-2.0"}}]
    links = {one["ref"]: one.get("dependsOn", []) for one in environment["dependencies"] if one["ref"] in kept}
    return {
        "$schema": environment["$schema"],
        "bomFormat": "CycloneDX",
        "specVersion": environment["specVersion"],
        "serialNumber": environment["serialNumber"],
        "version": 1,
        "metadata": {**environment["metadata"], "component": own},
        "components": [*python, *debian],
        "dependencies": [
            {"ref": "retrainer", "dependsOn": sorted([*kept, *(one["bom-ref"] for one in debian)])},
            *({"ref": ref, "dependsOn": sorted(kept & set(tos))} for ref, tos in sorted(links.items())),
        ],
    }


def fault(written: str) -> str | None:
    """Why a text is no CycloneDX 1.6; None where it is."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(written)
    return None if found is None else str(found).splitlines()[0]


def license_names(component: Component) -> list[str]:
    """The licences that a component names, in words."""
    found = component.get("licenses", [])
    return [one.get("expression") or one["license"].get("id") or one["license"].get("name") for one in found]


def _unknown(name: str, release: str) -> Component:
    return {
        "type": "library",
        "bom-ref": f"{name}=={release}",
        "name": name,
        "version": release,
        "purl": f"pkg:pypi/{name}@{release}",
    }


def _debian(package: Package, codename: str) -> Component:
    where = f"arch={package.architecture}&distro={codename}"
    purl = f"pkg:deb/debian/{package.name}@{package.version.replace('+', '%2B').replace(':', '%3A')}?{where}"
    # Debian's short names are not those of SPDX, so they are told as names.
    found = [{"license": {"name": name}} for name in package.licenses]
    return {
        "type": "library",
        "bom-ref": f"deb:{package.name}:{package.architecture}",
        "name": package.name,
        "version": package.version,
        "purl": purl,
        **({"licenses": found} if found else {}),
        "properties": [{"name": "debian:source", "value": package.source}],
    }


def _own_version() -> str:
    return version("retrainer")


def _environment() -> dict[str, Any]:
    """What is installed in this environment, as cyclonedx-bom finds it."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--of", "JSON", "--sv", "1.6", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(arguments: Iterable[str] | None = None) -> int:
    """Write the bill; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", help="an image of this machine, whose Debian packages are listed too")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "sbom.json")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    image = None
    try:
        image = read_image(asked.image) if asked.image else None
        missing = None if image else "no --image is named"
    except NoImage as error:
        missing = str(error)
    found = bill(_environment(), pinned(LOCK.read_text()), image)
    written = json.dumps(found, indent=1)
    if (wrong := fault(written)) is not None:
        print(f"the bill is no CycloneDX 1.6: {wrong}", file=sys.stderr)
        return 1
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(written)
    nameless = [one["name"] for one in found["components"] if not license_names(one)]
    print(f"{asked.out}: {len(found['components'])} components")
    print(f"  without a licence that a machine can read: {', '.join(nameless) or 'none'}")
    if missing:
        print(f"  DEBIAN PACKAGES ARE LEFT OUT: {missing}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
