"""docs/tutorial.md and docs/tour.md: their commands run as they stand there, in one shell, from first to last."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL, TOUR = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "tour.md"
BROKER, PAGE = "19092", "8642"
SET_UP = {
    TUTORIAL: "python3 -m venv var/venv\nsource var/venv/bin/activate\npip install '.[demo]'\n",
    TOUR: "make setup\nsource .venv/bin/activate\n",
}
"""The one block of each page that is left out: the tests run in what it makes."""

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOOK_AT_THE_PAGE = """python - << 'END'
from urllib.request import urlopen
print("the page answers", urlopen("http://127.0.0.1:{port}/").status)
END
"""


def commands(page: Path) -> str:
    first, *others = BLOCK.findall(page.read_text())
    assert first == SET_UP[page]
    return "".join(others)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def ran(page: Path, script: str, folder: Path, settings: dict[str, str], broker: str = BROKER) -> str:
    """What the commands of a page write, in a shell of their own; `retrainer` and `python` are those of the tests."""
    programs = folder / "bin"
    programs.mkdir()
    retrainer = f'[ "$1" = broker ] && set -- "$@" --port {broker}\nexec {sys.executable} -m retrainer.cli "$@"'
    for name, command in {"python": f'exec {sys.executable} "$@"', "retrainer": retrainer}.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n{command}\n")
        program.chmod(0o755)
    # What a page starts ends with the shell, also where a command in between fails.
    shell = f"set -e\ntrap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n{script}\ntrap - EXIT\n"
    environment = {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", shell],
        cwd=folder,
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    logs = "\n".join(log.read_text()[-3000:] for log in folder.rglob("service.log"))
    assert done.returncode == 0, f"{page.name}\n{done.stdout}{done.stderr}{logs}"
    return done.stdout


def test_the_pages_have_commands_and_the_tour_names_one_port() -> None:
    assert all(len(BLOCK.findall(page.read_text())) >= 8 for page in SET_UP)
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", commands(TOUR))) == {BROKER}
    assert f"http://127.0.0.1:{PAGE}" in TUTORIAL.read_text()


@pytest.mark.full
def test_the_tutorial_leads_from_a_file_to_a_version_because_of_one_row(tmp_path: Path) -> None:
    """On ports that are free here. The page for people is looked at where the first version is."""
    broker, page = free_port(), free_port()
    script, settings = commands(TUTORIAL), {"RETRAINER_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{broker}"}
    if find_spec("consumer.http") is not None:
        settings |= {"RETRAINER_HTTP__ENABLED": "true", "RETRAINER_HTTP__PORT": page}
        look = LOOK_AT_THE_PAGE.format(port=page)
        script = script.replace(
            "retrainer status\nretrainer versions\n", f"retrainer status\nretrainer versions\n{look}"
        )
    said = ran(TUTORIAL, script, tmp_path, settings, broker)
    assert "600 new" in said
    assert "1 changed, 599 as before" in said
    assert re.search(r"^1 \* +bootstrap", said, re.MULTILINE)
    assert re.search(r"^2 \* +incremental +1 +1 ", said, re.MULTILINE)
    assert "its last change, by version 2" in said
    assert "Registered as version 2" in said
    assert re.search(r"^champion +version 1", said.split("its last change, by version 2")[1], re.MULTILINE)
    assert ("the page answers 200" in said) == (find_spec("consumer.http") is not None)
    assert not (tmp_path / "var" / "trial").exists()


@pytest.mark.full
def test_the_tour_learns_follows_and_gets_over_a_broken_record(tmp_path: Path) -> None:
    said = ran(TOUR, commands(TOUR).replace(BROKER, free_port()), tmp_path, {})
    assert '"title": "1,000 listeners"' in said
    assert re.search(r"^1 \* +bootstrap", said, re.MULTILINE)
    assert re.search(r"^2 \* +incremental +1 ", said, re.MULTILINE)
    assert "two_tower_model.keras" in said
    assert re.search(r"\[\[0\.\d+ *\]\n \[0\.\d+ *\]\]", said)
    assert "Invalid JSON" in said
    assert (tmp_path / "var" / "tour" / "ledger.db").exists()
