"""The README of the double: its examples run, and the files that it names are there."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from tests.hopsworks_double import HopsworksDouble
from tests.waiting import wait_until
from tests.worlds import GROUP

FOLDER = Path(__file__).parents[1]
README = (FOLDER / "README.md").read_text()


def test_the_examples_run_one_after_the_other(tansu_address: str, tmp_path: Path) -> None:
    start, fail = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    for topic in ("changes", "onlinefs"):  # the broker is shared
        start = start.replace(f'"{topic}"', f'"{topic}-{uuid4().hex}"')
    names: dict[str, object] = {"GROUP": GROUP, "tansu_address": tansu_address, "tmp_path": tmp_path}
    exec(start, names)  # noqa: S102
    double = names["double"]
    assert isinstance(double, HopsworksDouble)
    assert names["environment"] == double.environment()
    with double:
        wait_until(lambda: set(double.store.online) == {"u1", "u2"}, 20, "the row that was sent to be in the table")
    exec(fail, names)  # noqa: S102


def test_the_files_and_commands_that_it_names_are_there() -> None:
    for name in re.findall(r"`([\w/]+(?:/|\.py))`", README):
        assert any((folder / name).exists() for folder in (FOLDER, FOLDER.parents[1])), name
    for module in re.findall(r"python -m tests\.hopsworks_double([\w.]*)", README):
        path = FOLDER / module.strip(".").replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
