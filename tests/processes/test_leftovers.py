"""A run that is cut off leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leftovers import MARK, marked
from tests.waiting import wait_until

RUN = """
import os, signal, subprocess, sys, tempfile
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is begun with it ignored
from tests.leftovers import MARK, at_the_end, guarded

with guarded() as folder:
    Path(tempfile.gettempdir(), "kept").touch()
    starts_another = "import subprocess; subprocess.run(['sleep', '600'])"
    subprocess.Popen([sys.executable, "-c", starts_another], start_new_session=True)
    at_the_end(["false"], {})
    at_the_end(["touch", sys.argv[1]], os.environ)
    print(os.environ[MARK], folder, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("end", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_a_run_ends_what_it_started_and_removes_what_it_kept(
    end: signal.Signals | None, tmp_path: Path
) -> None:
    ours = {name: value for name, value in os.environ.items() if name != MARK}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, tmp_path / "ended"],
        env={**ours, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        mark, folder = run.stdout.readline().split()
        wait_until(lambda: len(marked(mark)) == 2, 20, "both processes to run")
        assert (Path(folder) / "kept").exists()
        if end is None:
            run.stdin.write("\n")
            run.stdin.flush()
        else:
            run.send_signal(end)
        run.wait(100)
        wait_until(lambda: not marked(mark), 20, "both processes to end")
        wait_until(lambda: not Path(folder).exists(), 20, "the folder to be gone")
    assert (tmp_path / "ended").exists()
