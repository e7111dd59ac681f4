"""The demo's account is tidy on a terminal of any width, and plain in a file.

`service.jsonl` is what a real service has logged: a bootstrap, and a cycle after 207 of 2,592 users had left.
"""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from retrainer.demo.glyphs import Glyphs
from retrainer.demo.narration import Said, of_commit, of_record
from retrainer.demo.plan import Plan
from retrainer.demo.screen import Screen, clock_time
from retrainer.demo.status import status
from retrainer.demo.story import Story
from retrainer.demo.summary import closing, opening, table
from retrainer.demo.waves import Committed
from schemas.log_events.cycles import CYCLE_ENDED, CYCLE_STARTED, CYCLE_STEP
from schemas.log_events.listener import WAITING_FOR_BROKER
from tests.hostile import HOSTILE, steering

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
            if line["event"] == CYCLE_STARTED:
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


@pytest.mark.parametrize("text", HOSTILE.values())
def test_what_the_service_logs_and_paths_are_text_and_nothing_else(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PLAN", Plan(state=Path(f"var/[red]{text}[/]")))
    end = {**LOG[-1], "outcome": "held", "version": None, "reason": text, "way_out": text, "asks_full": text}
    started = [{**line, "reason": text} if line["event"] == CYCLE_STARTED else line for line in LOG[:-1]]
    failing = {"event": text, "level": "error", "reason": text, text: text}
    told = drawn(log=[*started, failing, {"event": WAITING_FOR_BROKER, "reason": text}, end])
    assert steering(told) == []
    assert "[red]" in told


def test_a_demo_that_nobody_watches_any_more_ends() -> None:
    class Gone(io.StringIO):
        gone = True

    with pytest.raises(KeyboardInterrupt):
        Screen(Story(), Console(file=Gone())).say([Said("cycle", "goes on")])


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
    assert re.search("✔ ?base", lines[2])
    assert re.search("● ?fit", lines[2])
    assert re.search("○ ?register", lines[2])
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
    assert registered.split()[0] == "bootstrap"
    assert "no version yet" in registered
    assert "2,400" in registered
    assert "26,013" in registered
    assert registered.split()[-4:-1] == ["registered", "1", "0.9814"]
    assert "incremental" in rejected
    assert "30,258 → 25,861" in rejected
    assert rejected.split()[-4:-1] == ["rejected", "3", "0.9802"]  # the champion, who answers on


def ends() -> Story:
    """A version, and waves that teach nothing, are held, are refused, and teach nothing again."""
    story = Story()
    story.committed(COMMITS[1])
    champion = {"champion_accuracy": 0.971, "champion_precision": 0.975, "champion_recall": 0.991}
    challenger = {"accuracy": 0.972, "precision": 0.980, "recall": 0.990, **champion}
    reason = "of 960 users read 100 % were refused, more than the limit of 10 % (RETRAINER_GUARD__REFUSED_SHARE)"
    way_out = "look at the refused rows; if the data are right: `retrainer train --accept REFUSED_SHARE`"
    nothing = dict.fromkeys(["pairs_before", "pairs_after", *challenger])
    told: list[dict[str, Any]] = [
        {"outcome": "registered", "version": 4, "base_version": 3, **challenger},
        {"outcome": "unchanged", "version": None, "base_version": 4, **nothing, **champion},
        {"outcome": "held", "version": None, "base_version": 4, **nothing, "reason": reason, "way_out": way_out},
        {"outcome": "rejected", "version": None, "base_version": 4, **challenger, "reason": "recall is worse"},
        {"outcome": "unchanged", "version": None, "base_version": 4, **nothing, **champion},
    ]
    for wave, end in enumerate(told):
        story.committed(replace(COMMITS[2], wave=wave))
        for line in ({**LOG[0], "event": CYCLE_STARTED, "users": 960}, {**LOG[-1], **end}):
            story.feed({**line, "cycle_id": f"c{wave}"})
    return story


@pytest.mark.parametrize(
    ("width", "registered"),
    [
        (80, "registered 4 0.9720 0.9800 0.9900"),
        (110, "registered 4 0.9710 → 0.9720 0.9800 0.9900"),
        (120, "registered 4 0.9710 → 0.9720 0.9750 → 0.9800 0.9910 → 0.9900"),
    ],
)
def test_the_table_tells_precision_and_recall_beside_accuracy_of_who_answers(width: int, registered: str) -> None:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table(ends(), width))
    text = captured.get()
    assert all(len(line) <= width for line in text.splitlines())
    assert all(word in text for word in ("accuracy", "precision", "recall"))
    rows = [" ".join(line.split()) for line in text.splitlines()[-6:-1]]
    assert rows[0].endswith(registered)
    assert rows[1].endswith("unchanged 4 0.9710 0.9750 0.9910")
    assert rows[2].endswith("held 4")  # nobody was examined
    assert rows[3].endswith("rejected 4 0.9710 0.9750 0.9910")


@pytest.mark.parametrize("width", [60, 80, 110, 120])
def test_below_the_table_what_was_held_has_its_figure_limit_and_way_out(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        closing(console, ends(), PLAN)
    text = " ".join(captured.get().split())
    assert "wave 2 held: of 960 users read 100 % were refused, more than the limit of 10 %" in text
    assert "to do look at the refused rows; if the data are right: `retrainer train --accept REFUSED_SHARE`" in text
    assert "then wave 4 went on by itself, and its cycle settled 960 users wave 3 rejected: recall is worse" in text
    assert "unchanged: there was nothing to learn." in text
    assert "2 cycles found nothing to learn, 1 cycle held, with the way out, 1 cycle refused a version" in text


def learned() -> Story:
    """Versions that learned labels, a wave of spam that was refused, and one that taught nothing."""
    story = Story()
    champion = {"champion_outcome_auc": 0.8512, "champion_recall_at_50": 0.2587}
    challenger = {"outcome_auc": 0.8649, "recall_at_50": 0.2701, **champion}
    told: list[tuple[dict[str, Any], float | None]] = [
        (
            {"outcome": "registered", "version": 1, "base_version": None, "outcome_auc": 0.81, "recall_at_50": 0.241},
            None,
        ),
        ({"outcome": "registered", "version": 2, "base_version": 1, **challenger}, 0.8604),
        ({"outcome": "rejected", "version": None, "base_version": 2, **challenger, "reason": "earlier labels"}, 0.483),
        ({"outcome": "unchanged", "version": None, "base_version": 2, **champion}, 0.8711),
    ]
    for wave, (end, at_first) in enumerate(told):
        story.committed(replace(COMMITS[2], wave=wave))
        facts = {"auc": at_first, "labels": 1005} if at_first else {"summary": "nothing to ask"}
        for line in (
            {"event": CYCLE_STARTED, "users": 12, "labels": 4192, "kind": "incremental" if wave else "bootstrap"},
            {"event": CYCLE_STEP, "step": "probe", "state": "done", "facts": facts},
            {"event": CYCLE_ENDED, "changed_users": 12, "changed_labels": 4192, "seconds": 9.0, **end},
        ):
            story.feed({**line, "cycle_id": f"c{wave}"})
    return story


@pytest.mark.parametrize(
    ("width", "registered"),
    [
        (80, "registered 2 0.860 0.851 → 0.865 0.270"),
        (110, "12 4,192 registered 2 0.860 0.851 → 0.865 0.259 → 0.270 9.0"),
    ],
)
def test_where_labels_are_learned_the_table_tells_how_they_were_known_at_first_and_then(
    width: int, registered: str
) -> None:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        closing(console, learned(), PLAN)
    text = captured.get()
    assert all(len(line) <= width for line in text.splitlines() if "demo.env" not in line)
    rows = [" ".join(line.split()) for line in text.splitlines() if re.search("bootstrap|incremental", line)]
    assert rows[0].endswith("registered 1 0.810 0.241" + (" 9.0" if width > 100 else ""))
    assert registered in rows[1]
    assert "rejected 2 0.483 0.851 0.259" in rows[2]  # the champion, who answers on
    assert "unchanged 2 0.871 0.851 0.259" in rows[3]
    words = " ".join(text.split())
    assert "at first: the AUC that the version before had on the new labels" in words
    assert "made the champion no better at labels that it has not seen" in words
    assert "wave 2 rejected: earlier labels" in words


def test_what_is_held_has_a_colour_of_its_own() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, _environ={"TERM": "xterm"})
    with console.capture() as captured:
        Screen(Story(), console).say([Said("why", "100 % were refused", "held")])
        console.print(table(ends(), 100))
    text = captured.get()
    assert "\x1b[33m100 % were refused" in text
    assert "\x1b[1;33mheld" in text


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
