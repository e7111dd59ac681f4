"""The bill of materials and the scan read what dpkg, apt, the lock and the advisories say."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import date
from typing import Any

import pytest

from tests.supply import scan
from tests.supply.debian import Image, NoImage, Package, from_tar, installed, licenses, security_updates
from tests.supply.sbom import LOCK, bill, fault, license_names, pinned
from tests.supply.scan import Audit, Fault, WrongList, audit, debian_faults, ignored, standing

STATUS = """Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl (3.0.15-1~deb12u1)
Version: 3.0.15-1~deb12u1
Description: Secure Sockets Layer toolkit
 Package: not-a-package

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2025b+dfsg-0+deb12u1
"""
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files: *
License: Apache-2.0
 The text of it.

Files: debian/*
License: GPL-2+ or Artistic

License: Apache-2.0
"""
SIMULATED = """Inst tzdata [2025a-0+deb12u1] (2025b-0+deb12u1 Debian:12.11/stable-updates [all])
Inst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u2 Debian-Security:12/stable-security [amd64]) []
Inst zip (3.0-13 Debian-Security:12/stable-security [amd64])
Conf libssl3 (3.0.17-1~deb12u2 Debian-Security:12/stable-security [amd64])
"""
ENVIRONMENT: dict[str, Any] = {
    "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
    "metadata": {"timestamp": "2026-11-29T12:00:00+00:00"},
    "components": [
        {
            "type": "library",
            "bom-ref": "numpy==2.4.6",
            "name": "numpy",
            "version": "2.4.6",
            "licenses": [{"license": {"id": "BSD-3-Clause", "acknowledgement": "declared"}}],
        },
        {"type": "library", "bom-ref": "pytest==9.0", "name": "pytest", "version": "9.0"},
        {"type": "library", "bom-ref": "ml_dtypes==0.5", "name": "ml_dtypes", "version": "0.5"},
    ],
    "dependencies": [
        {"ref": "numpy==2.4.6"},
        {"ref": "ml_dtypes==0.5", "dependsOn": ["numpy==2.4.6", "pytest==9.0"]},
        {"ref": "pytest==9.0"},
    ],
}


def packed(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


@pytest.fixture
def image() -> Image:
    return from_tar(
        packed(
            {
                "var/lib/dpkg/status": STATUS,
                "usr/lib/os-release": 'ID=debian\nVERSION_CODENAME="bookworm"\n',
                "usr/share/doc/libssl3/copyright": COPYRIGHT,
                "usr/share/doc/tzdata/copyright": "This is Debian's tzdata. License: everybody may.",
            }
        )
    )


def test_an_image_names_its_packages_and_licences(image: Image) -> None:
    assert image.codename == "bookworm"
    assert image.packages == (
        Package("libssl3", "3.0.15-1~deb12u1", "amd64", "openssl", ("Apache-2.0", "GPL-2+ or Artistic")),
        Package("tzdata", "2025b+dfsg-0+deb12u1", "all", "tzdata", ()),
    )
    assert licenses("") == []
    with pytest.raises(NoImage, match="no image of Debian"):
        from_tar(packed({"etc/alpine-release": "3"}))


def test_what_is_not_installed_is_no_part(image: Image) -> None:
    assert [one.name for one in installed(STATUS)] == ["libssl3", "tzdata"]
    assert list(installed("")) == []


def test_the_bill_has_what_the_image_has_and_nothing_else(image: Image) -> None:
    found = bill(ENVIRONMENT, {"numpy": "2.4.6", "ml-dtypes": "0.5", "keras": "3.1"}, image)
    assert fault(json.dumps(found)) is None
    names = {one["name"]: license_names(one) for one in found["components"]}
    assert names == {
        "numpy": ["BSD-3-Clause"],
        "ml_dtypes": [],
        "keras": [],
        "libssl3": ["Apache-2.0", "GPL-2+ or Artistic"],
        "tzdata": [],
    }
    refs = {one["bom-ref"] for one in found["components"]} | {"retrainer"}
    named = {ref for one in found["dependencies"] for ref in (one["ref"], *one.get("dependsOn", ()))}
    assert named <= refs, "a test tool is no part of the image"
    assert {one["purl"] for one in found["components"] if "purl" in one} >= {
        "pkg:deb/debian/tzdata@2025b%2Bdfsg-0%2Bdeb12u1?arch=all&distro=bookworm"
    }


def test_a_package_of_another_release_than_the_lock_s_is_not_taken_for_it() -> None:
    (numpy,) = bill(ENVIRONMENT, {"numpy": "2.5.0"}, None)["components"]
    assert (numpy["version"], license_names(numpy)) == ("2.5.0", [])


def test_what_is_no_cyclonedx_is_seen() -> None:
    assert fault('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{}]}') is not None


def test_the_lock_is_read_with_its_markers() -> None:
    found = pinned(
        "numpy==2.4.6 \\\n    --hash=sha256:ab\n"
        "ml_dtypes==0.5 ; sys_platform == 'linux' \\\n    --hash=sha256:ab\n    # via keras\n"
        "pywin32==3 ; sys_platform == 'win32' \\\n    --hash=sha256:ab\n"
    )
    assert found == {"numpy": "2.4.6", "ml-dtypes": "0.5"}
    assert {"kafka-python", "tensorflow", "pydantic"} <= pinned(LOCK.read_text()).keys()


def test_only_security_updates_of_installed_packages_are_faults() -> None:
    (update,) = security_updates(SIMULATED)
    assert (update.package, update.installed, update.available) == ("libssl3", "3.0.15-1~deb12u1", "3.0.17-1~deb12u2")


def test_apt_of_another_release_is_not_asked(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "codename_here", lambda: "trixie")
    with pytest.raises(NoImage, match="the image is Debian bookworm"):
        debian_faults(image)
    monkeypatch.setattr(scan, "codename_here", lambda: "bookworm")
    monkeypatch.setattr(scan, "simulated_upgrade", lambda _status: SIMULATED)
    (found,) = debian_faults(image)
    assert (found.package, found.mended_in) == ("libssl3", "3.0.17-1~deb12u2")


ADVISED: dict[str, Any] = {
    "dependencies": [
        {"name": "urllib3", "version": "1.26.4", "vulns": [
            {"id": "PYSEC-2021-108", "fix_versions": ["1.26.5"], "aliases": ["CVE-2021-33503"], "description": ""},
            {"id": "PYSEC-2026-1", "fix_versions": [], "aliases": [], "description": ""},
        ]},
        {"name": "keras", "skip_reason": "Dependency not found on PyPI and could not be audited: keras (3.1)"},
        {"name": "numpy", "version": "2.4.6", "vulns": []},
    ]
}  # fmt: skip


def test_what_the_index_says_nothing_of_is_not_taken_for_sound() -> None:
    found = audit(ADVISED)
    assert found.faults == (Fault("urllib3", "1.26.4", "PYSEC-2021-108", "1.26.5", ("CVE-2021-33503",)),)
    assert found.unmended == ("urllib3 1.26.4: PYSEC-2026-1",)
    assert (found.unknown, found.asked) == (("keras",), 3)


@pytest.mark.parametrize("by", ["PYSEC-2021-108", "CVE-2021-33503", "urllib3"])
def test_what_is_ignored_counts_again_after_its_day(by: str) -> None:
    text = f'[[ignored]]\nid = "{by}"\nreason = "no server of ours"\nuntil = 2027-01-31\n'
    faults = audit(ADVISED).faults
    assert standing(faults, ignored(text, date(2027, 1, 31))) == []
    assert len(standing(faults, ignored(text, date(2027, 2, 1)))) == 1


@pytest.mark.parametrize("left_out", ["id", "reason", "until"])
def test_an_entry_needs_an_id_a_reason_and_a_day(left_out: str) -> None:
    entry = {"id": '"A-1"', "reason": '"because"', "until": "2027-01-31"}
    text = "\n".join(["[[ignored]]", *(f"{name} = {value}" for name, value in entry.items() if name != left_out)])
    with pytest.raises(WrongList, match="entry 1"):
        ignored(text, date(2026, 1, 1))


SOUND, UNREACHABLE = Audit((), (), (), 3), Audit((), (), ("a", "b", "c"), 3)
FAULTY = audit(ADVISED)


@pytest.mark.parametrize(
    ("told", "required", "code", "said"),
    [
        (SOUND, "", 0, "0 known faults"),
        (FAULTY, "", 1, "urllib3 1.26.4: PYSEC-2021-108, mended in 1.26.5"),
        (UNREACHABLE, "", 0, "NOT LOOKED UP: 3 of 3 Python packages"),
        (UNREACHABLE, "1", 1, "NOT LOOKED UP: 3 of 3 Python packages"),
    ],
)
def test_only_known_faults_fail_unless_more_is_asked_for(
    told: Audit,
    required: str,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scan, "_ask", lambda: told)
    monkeypatch.setattr(scan, "read_image", lambda _name: Image((), "bookworm", ""))
    monkeypatch.setattr(scan, "debian_faults", lambda _image: [])
    monkeypatch.setenv("REQUIRE_ADVISORIES", required)
    assert scan.main(["--image", "retrainer"]) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


def test_an_image_that_is_not_there_is_said_loudly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scan, "_ask", lambda: SOUND)
    assert scan.main([]) == 0
    assert "NOT LOOKED UP: the Debian packages" in capsys.readouterr().err
