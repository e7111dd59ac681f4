"""The demo's account is tidy on a terminal of any width, and plain in a file.

`service.jsonl` is what a real service has logged: a bootstrap, and a cycle after 207 of 2,592 users had left.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from consumer.demo.ending import closing, opening, table
from consumer.demo.glyphs import Glyphs
from consumer.demo.plan import Plan
from consumer.demo.screen import Screen, clock_time
from consumer.demo.status import status
from consumer.demo.story import Story
from consumer.demo.telling import of_commit, of_record
from consumer.demo.waves import Committed

LOG = [json.loads(line) for line in (Path(__file__).parent / "service.jsonl").read_text().splitlines()]
PLAN = Plan(state=Path("var/demo"))
COMMITS = {
    1: Committed(wave=0, title="all", changed=0, new=2400, deleted=0, users=2400, events=2400),
    2: Committed(wave=3, title="207 listeners leave", changed=0, new=0, deleted=207, users=2385, events=207),
}


def drawn(*, terminal: bool = False, width: int = 100, encoding: str = "utf-8", log: list[dict[str, Any]] = LOG) -> str:
    """The whole account, as it reaches the terminal or the file."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, errors="replace")
    console = Console(file=out, force_terminal=terminal, width=width, height=40, _environ={"TERM": "xterm"})
    story = Story()
    opening(console, PLAN)
    with Screen(story, console, clock=lambda: 65.0) as screen:
        for line in log:
            if line["event"] == "cycle started":
                commit = COMMITS[len(story.cycles) + 1]
                story.committed(commit)
                screen.say(of_commit(commit))
            story.feed(line)
            screen.say(of_record(story, line))
    closing(console, story, PLAN)
    out.flush()
    return raw.getvalue().decode(encoding)


def refused() -> list[dict[str, Any]]:
    """The same, but the second cycle ends in a refusal."""
    end = {**LOG[-1], "outcome": "rejected", "version": None, "reason": "accuracy sank by 0.020, more than 0.010"}
    return [*LOG[:-1], end]


def test_a_file_gets_plain_lines_that_fit() -> None:
    text = drawn()
    assert "\x1b" not in text
    assert "\r" not in text
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "2,400 events read; 2,400 users pending" in text
    assert "epoch 30 of 60: training accuracy 0.9" in text
    assert "207 users are no longer there" in text
    assert "30,258 → 25,861 similar pairs" in text
    assert "version 4 registered" in text


def test_a_terminal_gets_a_status_with_every_epoch_instead() -> None:
    text = drawn(terminal=True)
    assert "fit 17/60" in text
    assert "epoch 30 of 60" not in text
    assert "version 4 registered" in text
    assert "users pending" not in text[text.index("what became of it") :]  # the status is gone in the end


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_status_has_its_lines_and_room_for_an_echo(width: int) -> None:
    story = Story()
    for line in LOG[:60]:
        story.feed(line)
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(status(story, Glyphs(ascii_only=False), width, "1:05"))
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert len(lines) == 5
    assert max(len(line) for line in lines) <= width - 3
    assert re.search(r"events read 2,400   users pending [\d,]+   versions 0   time 1:05", lines[1])
    assert "✔ base" in lines[2]
    assert "● fit" in lines[2]
    assert "○ register" in lines[2]
    assert "training accuracy 0.9" in lines[3]
    assert "validation 0.9" in lines[3]


@pytest.mark.parametrize("terminal", [False, True])
def test_ascii_is_enough(terminal: bool) -> None:
    text = drawn(terminal=terminal, encoding="ascii")
    assert "30,258 -> 25,861" in text
    assert "?" not in text.replace("\x1b[?25l", "").replace("\x1b[?25h", "")  # nothing had to be replaced


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_table_has_every_version_and_every_refusal(width: int) -> None:
    text = drawn(width=width, log=refused())
    assert all(len(line) <= width for line in text.splitlines() if "demo.env" not in line)
    end = " ".join(text[text.index("what became of it") :].split())
    assert "bootstrap" in end
    assert "registered" in end
    assert "rejected" in end
    assert "sank" in end
    assert "1 version registered, 1 cycle refused a version" in end


def test_a_wide_table_says_all() -> None:
    story = Story()
    for line in refused():
        story.feed(line)
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as captured:
        console.print(table(story, 200))
    registered, rejected = captured.get().splitlines()[-3:-1]
    assert registered.split()[:2] == ["1", "bootstrap"]
    assert "no version yet" in registered
    assert "2,400" in registered
    assert "26,013" in registered
    assert "0.981" in registered
    assert "incremental" in rejected
    assert "30,258 → 25,861" in rejected
    assert "0.980 → 0.980" in rejected
    assert "rejected: accuracy sank by 0.020, more than 0.010" in rejected


@pytest.mark.parametrize(("width", "shown"), [(80, "0.980"), (100, "0.980"), (120, "0.975 → 0.980")])
def test_the_table_tells_precision_and_recall_beside_accuracy_and_every_outcome(width: int, shown: str) -> None:
    figures = {"precision": 0.980, "champion_precision": 0.975, "recall": 0.990, "champion_recall": 0.991}
    ends: list[dict[str, Any]] = [
        {"outcome": "registered", **figures},
        {"outcome": "unchanged", "version": None},
        {"outcome": "held", "version": None, "reason": "50 % were refused"},
    ]
    log = [line for end in ends for line in ({**LOG[0], "event": "cycle started"}, {**LOG[-1], **end})]
    story = Story()
    for number, line in enumerate(log):
        story.feed({**line, "cycle_id": f"c{number // 2}"})
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table(story, width))
    text = captured.get()
    assert all(word in text for word in ("accuracy", "precision", "recall", shown, "registered", "unchanged", "held"))
    assert all(len(line) <= width for line in text.splitlines())


def test_it_says_what_to_type_next() -> None:
    end = drawn()
    assert "(. var/demo/demo.env; retrainer versions)" in end
    assert "var/demo/service.log" in end


def test_a_sparkline_shows_the_whole_course_and_no_noise() -> None:
    line = Glyphs(ascii_only=False).sparkline([at / 100 for at in range(100)], 24)
    assert len(line) == 24
    assert line == "".join(sorted(line))
    assert (line[0], line[-1]) == ("▁", "█")
    assert set(Glyphs(ascii_only=False).sparkline([0.980, 0.981, 0.980], 24)) == {"▁"}
    assert Glyphs(ascii_only=True).sparkline([0.0, 1.0], 24) == "_#"


def test_times_are_told_like_a_clock() -> None:
    assert [clock_time(seconds) for seconds in (0, 59.9, 65, 3600)] == ["0:00", "0:59", "1:05", "60:00"]
