"""The house: arrows between rooms lead down, nothing runs in a circle, no folder is a heap."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.unit.project.code import EVERYWHERE, ROOMS, Graph, circles, files, imports, module

MAY_IMPORT = {
    "retrainer": {"consumer", "trainer", "stores", "schemas"},
    "consumer": {"stores", "schemas"},
    "trainer": {"stores", "schemas"},
    "stores": {"schemas"},
    "schemas": set(),
}
OF_STORES = {"stores.sqlite_readonly"}
"""What the consumer may import of stores: how a SQLite file is read without a trace. Stores need NumPy and the SDK."""

MOST_FILES = 30


def room(name: str) -> str:
    return name.partition(".")[0]


def test_every_room_is_known() -> None:
    assert set(MAY_IMPORT) == set(ROOMS)


@pytest.mark.parametrize("upper", ROOMS)
def test_arrows_between_rooms_lead_down(upper: str) -> None:
    allowed = {upper, *MAY_IMPORT[upper]}
    up = [f"{name} imports {to}" for name, tos in imports().items() for to in tos if room(name) == upper]
    assert [arrow for arrow in up if room(arrow.split()[-1]) not in allowed] == []


def test_the_consumer_imports_of_stores_only_what_needs_neither_numpy_nor_the_sdk() -> None:
    found = {to for name, tos in imports().items() for to in tos if (room(name), room(to)) == ("consumer", "stores")}
    assert found <= OF_STORES


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(imports()) == []


def test_no_subrooms_import_each_other_in_a_circle() -> None:
    """A subroom is one node, whatever lies in it; a file that lies flat in a room is one, too."""
    subrooms = {module(path) for path in files(*ROOMS) if path.name == "__init__.py" and len(path.parts) == 3}
    graph: Graph = {}
    for name, tos in imports().items():
        for to in tos:
            one, other = (_subroom(module_name, subrooms) for module_name in (name, to))
            if one != other:
                graph.setdefault(one, set()).add(other)
    assert circles(graph) == []


def test_a_record_goes_straight_down_to_the_database() -> None:
    below = {"database": set[str](), "changes": {"database"}, "dead_letters": {"database", "changes"}}
    way = {"ledger", *below}
    for name, tos in imports().items():
        if (part := name.split(".")[1:2]) and part[0] in below and room(name) == "consumer":
            used = {to.split(".")[1] for to in tos if room(to) == "consumer" and "." in to} & way - {part[0]}
            assert used <= below[part[0]], name


def _subroom(name: str, subrooms: set[str]) -> str:
    outer = ".".join(name.split(".")[:2])
    return outer if outer in subrooms else name


def test_no_folder_is_a_heap() -> None:
    counts = Counter(path.parent for path in files(*EVERYWHERE))
    assert {str(folder): count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in files(*ROOMS)}
    assert [str(folder) for folder in folders if Path(folder / "__init__.py") not in files(*ROOMS)] == []


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]]),
    ],
)
def test_a_circle_is_found(graph: Graph, found: list[list[str]]) -> None:
    assert circles(graph) == found
