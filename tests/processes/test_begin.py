"""`retrainer init` and `retrainer broker` as a person calls them: from a file of users to events on a topic."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from retrainer.demo.broker import answers_kafka
from retrainer.demo.plan import inherited
from tests.waiting import wait_until

RETRAINER = [sys.executable, "-m", "retrainer.cli"]


def test_from_a_file_of_users_to_announced_events(tmp_path: Path) -> None:
    users = tmp_path / "users.jsonl"
    users.write_text('{"id": 1, "likes": [1, 2, 3]}\n{"id": 2, "likes": [3, 2, 1]}\n')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    settings = {"RETRAINER_CONFIG": "retrainer.toml", "RETRAINER_KAFKA__BOOTSTRAP_SERVERS": address}
    environment = inherited(os.environ, settings)

    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*RETRAINER, *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    begun = called("init", "files", "--from", str(users), "--key", "id")
    assert begun.returncode == 0, begun.stderr
    assert f"retrainer import {users}" in begun.stdout
    assert "is there already" in called("init", "files").stderr
    broker = [*RETRAINER, "broker", "--port", str(port)]
    with subprocess.Popen(broker, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: answers_kafka(address), 30, "the broker answers")
        taken = called("broker", "--port", str(port))
        assert (taken.returncode, "is taken" in taken.stderr) == (2, True)
        imported = called("import", str(users))
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "2 change events announced" in imported.stdout, imported.stderr
    assert not answers_kafka(address)
