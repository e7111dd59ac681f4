"""One word for one thing (docs/glossary.md): the old words are used no more, by code, docs and docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.project.code import EVERYWHERE, ROOMS, ROOT, docstrings, files, identifiers, parsed
from tests.unit.project.pages import code

IDENTIFIERS: dict[str, tuple[tuple[str, ...], str]] = {
    # the old word: where it must not be, and the word to use
    "Places": (EVERYWHERE, "Assignment in the listener, RowIds in pairs"),
    "Stand": (ROOMS, "ClientPosition"),
    "Hearing": (EVERYWHERE, "ListenerStatus"),
    "Hearsay": (EVERYWHERE, "LagMeter"),
    "Storing": (EVERYWHERE, "BatchWriter"),
    "Pressure": (EVERYWHERE, "LedgerBackoff"),
    "FloodGuard": (EVERYWHERE, "DeadLetterLimit"),
    "anew": (ROOMS, "recreated"),
    "lately": (EVERYWHERE, "recently_learned_users"),
    "cross": (("consumer/listener",), "record_gaps"),
    "follows": (("consumer", "schemas"), "last_promoted_cycle"),
    "above": (("consumer", "schemas/cycle.py", "stores", "trainer/cycle.py"), "min_version_exclusive"),
    "only_find": (EVERYWHERE, "lookup_only"),
    "absent": (("consumer/cycles", "schemas", "trainer/results.py", "trainer/cycle.py"), "not_registered"),
    "asked": (("consumer/ledger",), "retrain_requests"),
    "past": (("consumer/ledger",), "history"),
    "anchors": (("trainer/gate",), "pair_users"),
    "anchor": (("trainer/gate",), "baseline"),
    "Outcome": (("retrainer/doctor",), "Severity"),
    "Trouble": (("retrainer/doctor",), "CheckFailed"),
    "Visit": (("retrainer/doctor",), "CheckContext"),
}
FILES = {
    "trainer/pairs/numbers.py": "precision.py",
    "trainer/pairs/survivors.py": "candidates.py",
    "trainer/pairs/frame_choice.py": "bounds_tuning.py",
    "trainer/learning/dev.py": "validation.py",
    "trainer/dev.py": "validation.py",
    "retrainer/demo/listeners.py": "audience.py",
    "retrainer/demo/telling.py": "narration.py",
    "retrainer/demo/ending.py": "summary.py",
}
PROSE = {
    "anew": "again, or: recreated",
    "afresh": "again, or: from scratch",
    "beside itself": "say what the thing does",
}
NAMES_OLD_WORDS = {"glossary.md", "CHANGELOG.md"}
OF_ONE_ROOM = {"Outcome", "Trouble", "Visit"}
"""Words that stay right elsewhere: a cycle has an outcome."""

PAGES = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("old", IDENTIFIERS)
def test_code_does_not_use_the_old_name(old: str) -> None:
    folders, new = IDENTIFIERS[old]
    found = [
        f"{path}:{line}: {old}; say {new}"
        for path in files(*EVERYWHERE)
        if any(path.is_relative_to(folder) for folder in folders)
        for line, name in identifiers(path)
        if name == old
    ]
    assert not found, "\n" + "\n".join(sorted(set(found)))


def test_files_have_their_new_names() -> None:
    assert [f"{old}; call it {new}" for old, new in FILES.items() if (ROOT / old).exists()] == []


def test_one_class_is_called_unreachable() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in files(*ROOMS)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and node.name == "Unreachable"
    ]
    assert len(found) <= 1, f"two things have one name: {', '.join(found)}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in NAMES_OLD_WORDS], ids=str)
def test_code_in_pages_does_without_old_names(page: Path) -> None:
    old = {word: new for word, (_, new) in IDENTIFIERS.items() if word not in OF_ONE_ROOM and word[0].isupper()}
    old |= {"only_find": "lookup_only", "lately": "recently_learned_users"}
    found = [
        f"{page}:{line}: {word}; say {old[word]}"
        for line, piece in code(ROOT / page)
        for word in re.findall(r"\w+", piece)
        if word in old
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_prose_of_pages_does_without_old_words(page: Path) -> None:
    found = list(_old_words(page, enumerate((ROOT / page).read_text().splitlines(), 1)))
    assert not found, "\n" + "\n".join(found)


def test_prose_of_docstrings_does_without_old_words() -> None:
    found = [told for path in files(*ROOMS, "benchmarks") for told in _old_words(path, docstrings(path))]
    assert not found, "\n" + "\n".join(found)


def _old_words(path: Path, texts: Iterator[tuple[int, str]] | enumerate[str]) -> Iterator[str]:
    """The old words outside of code, which stands between backticks."""
    for line, text in texts:
        prose = re.sub(r"`[^`]*`", "", text)
        for old, new in PROSE.items():
            for found in re.finditer(rf"\b{old}\b", prose, re.IGNORECASE):
                below = prose.count("\n", 0, found.start())
                yield f"{path}:{line + below}: {old}; say {new}"


def test_the_glossary_has_every_new_name() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    words = [new for _, new in IDENTIFIERS.values() if re.fullmatch(r"[A-Z]\w+|\w+_\w+", new)]
    assert [word for word in words if f"`{word}`" not in glossary] == []


def test_an_old_word_is_found_with_its_line_and_not_in_code() -> None:
    texts = enumerate(["Read `made_anew` again.", "The topic is made anew."], 1)
    assert list(_old_words(Path("page.md"), texts)) == ["page.md:2: anew; say again, or: recreated"]
