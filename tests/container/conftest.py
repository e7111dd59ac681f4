"""Fixtures of the container tests, which are skipped unless asked for: they install packages and take minutes."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.container.engine import Engine
from tests.container.images import prepare
from tests.container.stack import Stack

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder; a timeout that leaves time for the images, which the first test waits for."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.container)
            item.add_marker(pytest.mark.timeout(1800))
            if os.environ.get("RETRAINER_CONTAINER_TESTS") != "1":
                item.add_marker(pytest.mark.skip("builds and runs the image: make test-container"))


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine, with the images in its store."""
    if os.geteuid() != 0:
        pytest.fail("mounts and networks of containers need root")
    engine = Engine()
    engine.clear_up()
    prepare(engine)
    return engine


@pytest.fixture(scope="session")
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The compose file, up. What its containers said comes at the end, where a test failed."""
    stack = Stack(engine, tmp_path_factory.mktemp("stack") / "secrets")
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the containers said beside the failure of a test that uses them."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections.append(("containers", stack.logs()))
    return report
