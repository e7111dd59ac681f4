"""The site of docs/: its navigation is that of the index, its links lead on, and it fetches nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from tests.unit.project.code import ROOT
from tests.unit.project.pages import links


def _hook() -> Any:
    spec = importlib.util.spec_from_file_location("docs_site_hook", ROOT / "docs" / "site" / "hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOK = _hook()
INDEX = ROOT / "docs" / "index.md"


def test_the_navigation_has_four_parts_with_every_page_once() -> None:
    home, *parts = HOOK.navigation(INDEX.read_text())
    assert home == {"Home": "index.md"}
    titles = [title for part in parts for title in part]
    assert titles == ["Tutorial", "How-to", "Reference", "Explanation"]
    pages = [page for part in parts for entries in part.values() for entry in entries for page in entry.values()]
    assert sorted(pages) == sorted({path for path, _ in links(INDEX) if not path.startswith("../")})


@pytest.mark.parametrize(
    ("page", "link", "leads"),
    [
        ("docs/kafka.md", "[a](../consumer/decoding.py)", "[a](files/consumer/decoding.py.md)"),
        ("docs/kafka.md", "[`a`](../README.md#run-it)", "[`a`](files/README.md#run-it)"),
        ("docs/kafka.md", "[a](decisions/README.md)", "[a](decisions/README.md)"),
        ("docs/decisions/README.md", "[a](../../consumer/listener)", "[a](../files/consumer/listener/README.md)"),
        ("README.md", "[a](docs/kafka.md#topics)", "[a](../kafka.md#topics)"),
        ("README.md", "![a](docs/images/pairs.png)", "![a](../images/pairs.png)"),
        ("docs/kafka.md", "[a](#topics) [b](https://x.example)", "[a](#topics) [b](https://x.example)"),
        ("docs/kafka.md", "[a](../nowhere.py)", "[a](../nowhere.py)"),
    ],
)
def test_a_link_leads_to_where_the_site_has_it(page: str, link: str, leads: str) -> None:
    assert HOOK.led(link, PurePosixPath(page)) == leads


def test_a_file_of_code_is_a_page_with_its_lines() -> None:
    page = HOOK.page(PurePosixPath("consumer/decoding.py"))
    assert '````python linenums="1"\n"""From raw records' in page
    assert "- `__init__.py`\n" in HOOK.page(PurePosixPath("consumer/listener"))


def _built(folder: Path, **options: Any) -> Path:
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True, **options)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return folder


@pytest.mark.full
def test_the_site_is_whole_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = _built(tmp_path / "site")
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))
    for page in pages:
        text = page.read_text()
        fetched = re.findall(r"<(?:script|img|link|iframe|source)\b[^>]*\b(?:src|href)=[\"']?([^\"' >]+)", text)
        assert [one for one in fetched if re.match(r"(https?:)?//", one)] == [], page
    assert '"location":"rollback.html"' in (site / "search" / "search_index.json").read_text()
    for sheet in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:https?:)?//", sheet.read_text()) == [], sheet


@pytest.mark.full
@pytest.mark.parametrize("link", ["nowhere.md", "kafka.md#nowhere", "../nowhere.py"])
def test_a_link_that_leads_nowhere_fails_the_build(link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# Home\n\n[a]({link})\n")
    (docs / "kafka.md").write_text("# Kafka\n")
    settings = yaml.unsafe_load((ROOT / "mkdocs.yml").read_text())
    for name in ("hooks", "extra_css", "exclude_docs", "not_in_nav", "theme"):
        settings.pop(name)
    (tmp_path / "mkdocs.yml").write_text(yaml.dump(settings))
    config = load_config(str(tmp_path / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True)
    with pytest.raises(Abort):
        build(config)
