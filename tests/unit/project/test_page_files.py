"""The page's files: what is reviewed is what is packed and served, with nothing that a browser would refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from trainer.report.palette import DARK, LIGHT

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "consumer" / "http" / "static"
FILES = sorted(STATIC.iterdir())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


def test_the_wheel_has_every_file_of_the_page() -> None:
    packed = {found.distribution_path for found in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {path.relative_to(ROOT).as_posix() for path in FILES} <= packed
    assert "consumer/http/static/index.html" in packed


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_import_is_there_and_is_used(script: Path) -> None:
    text = script.read_text()
    for names, source in re.findall(r'^import \{(.+?)\} from "\./(\S+)";$', text, re.MULTILINE | re.DOTALL):
        exported = (STATIC / source).read_text()
        for name in (name.strip() for name in names.split(",") if name.strip()):
            assert re.search(rf"^export (?:async )?(?:function|const|class) {name}\b", exported, re.MULTILINE), name
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is imported and not used"
    assert not re.search(r"^import (?!\{)", text, re.MULTILINE)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_text_of_the_service_can_become_html(script: Path) -> None:
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|DOMParser"
    assert not re.search(dangerous, script.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere_or_written_inline(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert "://" not in text
    if path.suffix == ".html":
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! type=\"module\" src=)", text)
    if path.suffix == ".js":
        assert len(text.splitlines()) < 250
        assert not re.search(r"\bstyle:|[\"']style[\"']", text)  # an inline style, which our policy does not allow


def test_the_colours_are_those_of_the_reports() -> None:
    text = (STATIC / "page.css").read_text()
    light, dark = (block for block in re.findall(r":root \{(.+?)\}", text, re.DOTALL))
    for role in ("ink", "faint", "challenger", "champion", "bad", "similar"):
        assert f"--{role}: {getattr(LIGHT, role)};" in light
        assert f"--{role}: {getattr(DARK, role)};" in dark
