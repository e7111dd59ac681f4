"""The picture of a run: small multiples over its minutes, with the broker's absences shaded and each cycle marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plots.style import BLUE, GREEN, GREY, INK, ORANGE, RED, grid, save
from tests.soak.check import MIB
from tests.soak.recording import Moment, Recording
from tests.soak.verdict import RECORDS, Verdict

_RESTART = 60.0
_GREY_BAND, _PALE = "#ECEEF1", "#D8DCE2"
_CAPTION = "minutes since the first version · shaded: the broker is away · dashed: it restarts · ticks: a cycle begins"
_LAYERS = {"learned": ("users learned", GREEN), "cycles": ("cycles", BLUE), "dead_letters": ("dead letters", RED)}
"""What the ledger keeps most of, each a layer of its own; the other records are one."""


def draw(recording: Recording, verdict: Verdict, path: Path) -> None:
    """Draw a run into a PNG, with the figures of its verdict; without a date, so that the same run is the same file."""
    drawn, panels = grid(3, 2, height=7.6)
    drawings = (_consumer, _trainers, _handles, _ledger, _pending, _stored)
    for panel, draw_one in zip(panels.flat, drawings, strict=True):
        _times(panel, recording)
        draw_one(panel, recording, verdict)
        panel.set_ylim(0, 1.06 * panel.get_ylim()[1])
        panel.set_xlim(0, recording.minutes)
        panel.tick_params(labelsize=8, length=2)
    panels[1, 0].yaxis.get_major_locator().set_params(integer=True)
    drawn.supxlabel(_CAPTION, fontsize=8.5)
    save(drawn, path.stem, path.parent)


def _times(panel: Any, recording: Recording) -> None:
    """Where the broker was away, and along the lower edge where each cycle was."""
    for since, until in recording.away:
        if until - since >= _RESTART:
            panel.axvspan(since / 60, until / 60, color=_GREY_BAND, lw=0, zorder=0)
        else:
            panel.axvline(since / 60, color=GREY, lw=0.8, ls=(0, (2, 2)), zorder=0)
    ticks = [cycle.claimed / 60 for cycle in recording.cycles]
    panel.plot(ticks, [0.012] * len(ticks), "|", color=GREY, ms=3.5, mew=0.6, transform=panel.get_xaxis_transform())


def _consumer(panel: Any, recording: Recording, verdict: Verdict) -> None:
    check = verdict.check("consumer memory, slope")
    grown = f" ({check.figures['an_hour']:+.2f} an hour in the second half)" if check else ""
    _line(panel, recording.moments, lambda moment: moment.rss / MIB, BLUE, f"resident{grown}")
    _line(panel, recording.moments, lambda moment: moment.uss / MIB, GREEN, "not shared with others")
    _titled(panel, "consumer: memory, MiB", "lower right")


def _trainers(panel: Any, recording: Recording, _: Verdict) -> None:
    ended = [one.ended / 60 for one in recording.trainers]
    peaks = [one.peak / MIB for one in recording.trainers]
    panel.plot(ended, peaks, ".", color=ORANGE, ms=3.5, label="peak of each cycle")
    waiting = [moment for moment in recording.moments if moment.waiting is not None]
    _line(panel, waiting, lambda moment: (moment.waiting or 0) / MIB, BLUE, "waiting for the next")
    _titled(panel, "trainers, a fresh process each: memory, MiB", "lower right")


def _handles(panel: Any, recording: Recording, _: Verdict) -> None:
    ended = [one.ended / 60 for one in recording.trainers]
    most = [one.handles for one in recording.trainers]
    panel.plot(ended, most, ".", color=ORANGE, ms=3.5, label="trainer that works: most handles")
    waiting = [moment for moment in recording.moments if moment.waiting_handles is not None]
    _line(panel, waiting, lambda moment: moment.waiting_handles or 0, GREEN, "trainer that waits: handles")
    _line(panel, recording.moments, lambda moment: moment.handles, BLUE, "consumer: handles")
    _line(panel, recording.moments, lambda moment: moment.threads, GREY, "consumer: threads")
    panel.set_ylim(0, 1.5 * panel.get_ylim()[1])  # room for the legend
    _titled(panel, "open handles, and threads", "upper center")


def _ledger(panel: Any, recording: Recording, verdict: Verdict) -> None:
    moments = recording.moments
    others = [name for name in moments[-1].tables if name in RECORDS and name not in _LAYERS]
    work = [name for name in moments[-1].tables if name not in RECORDS]
    check = verdict.check("ledger beside its records")
    medians = f": {check.figures['before']:.2f}, then {check.figures['after']:.2f}" if check else ""
    layers = [
        (_of_tables(moments, work), f"in progress{medians}", INK),
        *((_of_tables(moments, [name]), label, colour) for name, (label, colour) in _LAYERS.items()),
        (_of_tables(moments, others), "other records", ORANGE),
        ([moment.free / MIB for moment in moments], "free pages", _PALE),
    ]
    sizes, labels, colours = zip(*layers, strict=True)
    panel.stackplot([moment.at / 60 for moment in moments], *sizes, labels=labels, colors=colours, lw=0)
    _line(panel, moments, lambda moment: moment.ledger_wal / MIB, INK, "write-ahead log")
    _titled(panel, "ledger, MiB", "center")


def _of_tables(moments: Sequence[Moment], names: Sequence[str]) -> list[float]:
    return [sum(moment.tables.get(name, 0) for name in names) / MIB for moment in moments]


def _pending(panel: Any, recording: Recording, _: Verdict) -> None:
    _line(panel, recording.moments, lambda moment: moment.pending, BLUE, "users pending", width=0.7)
    _titled(panel, "users pending: each cycle takes them all", "upper right", legend=False)


def _stored(panel: Any, recording: Recording, _: Verdict) -> None:
    _line(panel, recording.moments, lambda moment: moment.stored / 1000, BLUE, "records stored, thousands")
    _line(panel, recording.moments, lambda moment: moment.rows["versions"], ORANGE, "versions registered")
    _titled(panel, "stored and learned", "upper left")


def _line(
    panel: Any, moments: Sequence[Moment], of: Callable[[Moment], float], colour: str, label: str, width: float = 1.2
) -> None:
    at, values = [moment.at / 60 for moment in moments], [of(moment) for moment in moments]
    panel.plot(at, values, color=colour, lw=width, label=label)


def _titled(panel: Any, title: str, where: str, *, legend: bool = True) -> None:
    panel.set_title(title)
    if legend:
        panel.legend(loc=where, fontsize=8, ncols=2 if "center" in where else 1)
