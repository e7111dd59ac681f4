"""What the commands of the documents are run on: topics, users with versions, dead letters, files."""

from __future__ import annotations

import csv
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from consumer.ledger.ledger import open_ledger
from consumer.positions import Partition
from retrainer.demo.plan import inherited
from stores.feature_store import FeatureRows
from tests.integration.service import QUICK
from tests.integration.topics import Topic
from tests.processes.test_tutorial import free_port
from tests.unit.project.code import ROOT
from tests.waiting import wait_until
from tests.worlds import GROUP, names

USERS, CHANGED = 300, 40
LETTERS = 20
_GARBAGE = (b"garbage", b'{"featureGroupName": "listeners", "entry": {"id": "u1"}}')
_LONG = 240  # seconds on a calm machine; a command that takes longer hangs


def topics(broker: str, read: int) -> None:
    """Topics whose first `read` records the ledger has read, and dead letters and other events behind them."""
    users = Topic(broker, "changes")
    users.create(3)
    users.send_users([f"u{number % USERS}" for number in range(read)], partition=0)
    for partition, count in ((1, 60), (2, 60)):
        users.send_users(names(count), partition=partition)
    users.send([(None, _GARBAGE[number % 2], ()) for number in range(LETTERS)], partition=1)
    follows = Topic(broker, "follows")
    follows.create(2)
    follows.send_labels([(f"u{number}", f"u{number + 1}") for number in range(60)], partition=1)


def prepare(folder: Path, broker: str, retrainer: str) -> None:
    """Four versions, a ledger that has read the topic, open dead letters, and the files that pages name."""
    from tests.models.small_loop import SmallLoop  # with TensorFlow, which the quick tests of this file do without

    loop = SmallLoop(folder / "var")
    with closing(loop):
        loop.story()
        loop.commit(names(CHANGED, start=150))
        loop.cycle()
        read = loop.ledger.intake.positions("changes")[Partition("changes", 0)]
        rows = loop.store.read(names(USERS))
    topics(broker, read)
    with Page(folder, on_stand(folder, broker), retrainer) as page:
        page.serve()
        url = f"sqlite:///{folder / 'var' / 'ledger.db'}"
        with closing(open_ledger(url, create=False)) as ledger:
            wait_until(lambda: ledger.views.read().open_letters >= LETTERS, 120, "dead letters in the ledger")
    with (folder / "users.csv").open("w", newline="") as file:
        csv.writer(file).writerows(_table(rows))
    (folder / "edges.csv").write_text("user_id,other_user_id\nu1,u2\nu2,u3\n")
    (folder / "users.txt").write_text("u1\nu2\n")
    command = "import pyarrow.csv as c, pyarrow.parquet as p; p.write_table(c.read_csv('users.csv'), 'users.parquet')"
    subprocess.run([sys.executable, "-c", command], cwd=folder, check=True)


def _table(rows: FeatureRows) -> Iterator[list[object]]:
    """Users as a file has them, in numbered columns: like those of the store, but that one in ten has a bit more."""
    numbered = [f"{one.name}_{at}" for one in GROUP.columns for at in range(one.length) if not one.is_scalar]
    yield ["user_id", *numbered, *(one.name for one in GROUP.columns if one.is_scalar)]
    columns = sorted(GROUP.columns, key=lambda one: one.is_scalar)
    blocks = [np.stack([block for block in rows.columns[one.name] if block is not None]) for one in columns]
    values = np.hstack(blocks)
    values[::10] += 0.1
    yield from ([key, *row] for key, row in zip(rows.keys, values.tolist(), strict=True))


def on_stand(folder: Path, broker: str) -> dict[str, str]:
    """The settings of a service in a folder like the stand; nothing but a person starts a cycle."""
    quick = {f"RETRAINER_{name}": value for name, value in QUICK.items()}
    return {
        **quick,
        "RETRAINER_STATE_DIR": str(folder / "var"),
        "RETRAINER_KAFKA__BOOTSTRAP_SERVERS": broker,
        "RETRAINER_KAFKA__TOPIC": "changes",
        "RETRAINER_KAFKA__GROUP_ID": folder.name,
        "RETRAINER_TRIGGER__CHANGED_USERS": "100000",
        "RETRAINER_TRIGGER__CHANGED_SHARE": "1",
        "RETRAINER_TRIGGER__MAX_STALENESS": "100000",
    }


def on_cluster() -> dict[str, str]:
    """The settings of a service on a cluster, beside those that name the cluster."""
    return {f"RETRAINER_{name}": value for name, value in QUICK.items() if not name.startswith("FEATURE_GROUP__NAME")}


class Page:
    """A folder and an environment in which the commands of one page are run, one after the other.

    `retrainer` is the line of a shell that is called so.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], retrainer: str) -> None:
        self.folder = folder
        self._retrainer = retrainer
        self._running: list[subprocess.Popen[bytes]] = []
        variables = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "BROWSER": "true"}  # for what `--open` opens
        self._page = free_port()
        if find_spec("consumer.http") is not None:
            (folder / "token").write_text(secrets.token_hex(32))
            variables |= {
                "RETRAINER_HTTP__ENABLED": "true",
                "RETRAINER_HTTP__PORT": self._page,
                "RETRAINER_HTTP__TOKEN_FILE": str(folder / "token"),
            }
        self.environment = inherited(os.environ, {**variables, **settings}) | {"PATH": self._programs()}

    def _programs(self) -> str:
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        program = programs / "retrainer"
        program.write_text(f"#!/bin/sh\nexec {self._retrainer}\n")
        program.chmod(0o755)
        return f"{programs}:/usr/local/bin:/usr/bin:/bin"

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *error: object) -> None:
        codes = [(process.args, self._stopped(process)) for process in self._running]
        if error[0] is None:
            assert [one for one in codes if one[1] != 0] == []

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command as a shell runs it, to its end. What curl asks is there; an answer that is an error fails it."""
        if command.startswith("curl "):
            self.serve()
            command = command.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
            command = re.sub(r"\b(127\.0\.0\.1|localhost):8642\b", rf"\1:{self._page}", command)
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONG * 5,
        )

    def start(self, command: str, sign: str) -> None:
        """A command that goes on until it is stopped; waits until a line of it has the sign."""
        log = self.folder / f"started-{len(self._running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec env {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        self._running.append(process)

        def begun() -> bool:
            assert process.poll() is None, f"{command} ended with {process.returncode}\n{log.read_text()[-2000:]}"
            return sign in log.read_text()

        wait_until(begun, 60, f"'{sign}' from `{command}`")

    def serve(self) -> None:
        """The service, until the page ends; once is enough."""
        if not any("retrainer run" in str(process.args) for process in self._running):
            self.start("retrainer run", "partitions assigned")

    def stop(self) -> None:
        """Stop what was started last."""
        process = self._running.pop()
        assert self._stopped(process) == 0, process.args

    @staticmethod
    def _stopped(process: subprocess.Popen[bytes]) -> int:
        process.terminate()
        return process.wait(120)


def copied(stand: Path, folder: Path) -> Path:
    """The stand in a folder of its own."""
    shutil.copytree(stand, folder, symlinks=True)
    return folder
