"""A kafka-python that lacks what we use of it is told in a sentence at the start."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.kafka.private import USED, lacking

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "consumer" / "kafka").glob("*.py"))


def test_the_installed_one_has_it_all() -> None:
    assert list(lacking()) == []


@pytest.mark.parametrize(
    ("used", "missing"),
    [
        ({"kafka.nowhere:Fetcher": ()}, "kafka.nowhere.Fetcher"),
        ({"kafka.consumer.fetcher:Fetcher.Records": ()}, "kafka.consumer.fetcher.Fetcher.Records"),
        ({"kafka.consumer.group:KafkaConsumer": ("_gone",)}, "kafka.consumer.group.KafkaConsumer._gone"),
        ({"kafka.future:Future": ("chain(future, twice)",)}, "kafka.future.Future.chain(future, twice)"),
        ({"kafka.net.inet:create_connection": ("(wire)",)}, "kafka.net.inet.create_connection(wire)"),
        ({"kafka.net.inet:create_connection": ("_gone",)}, "kafka.net.inet.create_connection._gone"),
        ({"kafka.version:__version__": ("(memview)",)}, "kafka.version.__version__(memview)"),
    ],
)
def test_what_it_lacks_is_named(used: dict[str, tuple[str, ...]], missing: str) -> None:
    assert list(lacking(used)) == [missing]


@pytest.mark.full
@pytest.mark.parametrize(
    "broken",
    [
        "import kafka.consumer.fetcher as m; del m.Fetcher.PartitionRecords.take",
        "import kafka.net.manager as m; m.KafkaConnectionManager.wait_for = lambda self, future: None",
        "import kafka.net.compat as m, kafka.admin as a; del m.KafkaNetClient, a.OffsetSpec",
    ],
)
@pytest.mark.parametrize("command", ["run", "replay", "bridge"])
def test_the_command_ends_with_a_sentence(broken: str, command: str) -> None:
    code = f"{broken}\nimport sys; sys.argv = ['retrainer', {command!r}]\nfrom retrainer.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("retrainer: kafka-python 3.")
    assert "cannot be used: it lacks kafka." in ran.stderr
    assert "Traceback" not in ran.stderr


def test_every_private_attribute_that_is_used_is_looked_at() -> None:
    """Those that our own classes do not set or define themselves."""
    trees = {path: ast.parse(path.read_text()) for path in FILES}
    ours = {
        node.attr if isinstance(node, ast.Attribute) else node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
        or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    declared = {
        node.target.id
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    read = {
        node.attr
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    }
    looked_at = {attribute.partition("(")[0] for attributes in USED.values() for attribute in attributes}
    of_named_tuples = {"_replace"}
    assert read - ours - declared - of_named_tuples <= looked_at
    assert {"_net", "_fetcher", "_subscription", "_conns", "_find_coordinator_ids"} <= read


def test_the_rest_of_the_consumer_knows_kafka_python_by_its_errors_only() -> None:
    """Clients are reached through the ports; and what is private in them is so for `consumer/kafka`, too."""
    private = {name for attributes in USED.values() for one in attributes if (name := one.partition("(")[0])[:1] == "_"}
    for path in sorted({*(ROOT / "consumer").rglob("*.py")} - {*(ROOT / "consumer" / "kafka").rglob("*.py")}):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "kafka":
                assert node.module == "kafka.errors", f"{path}: imports {node.module}"
            if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                assert node.attr not in private, f"{path}:{node.lineno}: uses {node.attr}"
