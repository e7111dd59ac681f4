"""What the site has beside the pages of docs/: a navigation made from docs/index.md, and the files that pages link to.

Pages link to code, tests and records of the checkout, as on GitHub. The site names no host, so each such file becomes
a page of the site below `files/`, with its lines numbered; a folder becomes a list of its files. Links between them
lead on.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
OUTSIDE = "files"
"""Where the files from outside docs/ lie in the site."""

_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_ENTRY = re.compile(r"^\| \[([^\]]+)\]\(([^)#]+)\) \|", re.MULTILINE)
_PART = re.compile(r"^## (.+)$", re.MULTILINE)
_UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n"
_LEXERS = {".py": "python", ".json": "json", ".toml": "toml", ".yml": "yaml", ".yaml": "yaml", ".sh": "bash"}


def navigation(index: str) -> list[Any]:
    """The parts of docs/index.md with the pages that their tables name, after the index itself."""
    parts = _PART.split(index)[1:]
    named = zip(parts[::2], parts[1::2], strict=True)
    return [{"Home": "index.md"}, *({part: [{t: p} for t, p in _ENTRY.findall(body)]} for part, body in named)]


def place(path: PurePosixPath) -> str:
    """Where a file or folder of the checkout lies among the sources of the site."""
    if path.parts[:1] == ("docs",):
        return str(path.relative_to("docs"))
    if (ROOT / path).is_dir():
        return f"{OUTSIDE}/{path}/README.md"
    return f"{OUTSIDE}/{path}" if path.suffix == ".md" else f"{OUTSIDE}/{path}.md"


def linked(text: str, source: PurePosixPath) -> Iterator[PurePosixPath]:
    """What a page links to in the checkout; `source` is where the page lies in it."""
    for match in _LINK.finditer(text):
        if (target := _target(match[2], source)) is not None:
            yield target


def led(text: str, source: PurePosixPath) -> str:
    """The page with each link to the checkout leading to where that lies in the site."""
    here = posixpath.dirname(place(source))

    def one(match: re.Match[str]) -> str:
        target = _target(match[2], source)
        if target is None:
            return match[0]
        return f"{match[1]}{posixpath.relpath(place(target), here or '.')}{match[3]}"

    return _LINK.sub(one, text)


def page(path: PurePosixPath) -> str:
    """The page of a file or folder outside docs/."""
    there = ROOT / path
    if there.is_dir():
        names = sorted(
            one.name + "/" * one.is_dir() for one in there.iterdir() if not one.name.startswith(("__p", "."))
        )
        return f"{_UNSEARCHED}# {path}/\n\n" + "".join(f"- `{name}`\n" for name in names)
    text = there.read_text()
    if path.suffix == ".md":
        return text
    return f'{_UNSEARCHED}# {path}\n\n````{_LEXERS.get(path.suffix, "text")} linenums="1"\n{text.rstrip()}\n````\n'


def on_config(config: Any) -> Any:
    """Make the navigation of docs/index.md the site's."""
    config["nav"] = navigation((ROOT / "docs" / "index.md").read_text())
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Add what pages link to outside docs/, and what those link to in turn."""
    waiting = [PurePosixPath("docs") / file.src_uri for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        source = waiting.pop()
        if source.suffix != ".md":
            continue
        for target in linked((ROOT / source).read_text(), source):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
                if target.parts[0] != "docs":
                    files.append(File.generated(config, place(target), content=page(target)))
    config.extra["sources"] = {place(one): one for one in seen}
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Lead the links of a page."""
    source = config.extra["sources"][page.file.src_uri]
    return led(markdown, source) if source.suffix == ".md" else markdown


def _target(link: str, source: PurePosixPath) -> PurePosixPath | None:
    """What a link names in the checkout, of a folder its README; None for another page of docs/, and for a host."""
    if ":" in link or link.startswith("#"):
        return None
    path = PurePosixPath(os.path.normpath(source.parent / link))
    there = ROOT / path
    if not there.exists() or (path.parts[0] == source.parts[0] == "docs" and not there.is_dir()):
        return None
    return path / "README.md" if (there / "README.md").exists() else path
