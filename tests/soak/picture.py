"""The picture of a run: small multiples over its minutes, with the broker's absences shaded and each cycle marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plots.style import BLUE, GREEN, GREY, INK, ORANGE, RED, grid, save
from tests.soak.recording import Moment, Recording
from tests.soak.verdict import MIB, second_half, slope

_RESTART = 60.0
_GREY_BAND = "#ECEEF1"
_CAPTION = "minutes since the first version · shaded: the broker is away · dashed: it restarts · ticks: a cycle begins"
_KEPT = {"learned": ("users learned", GREEN), "cycles": ("cycles", BLUE), "dead_letters": ("dead letters", RED)}
"""What the ledger keeps on record, drawn on top of the rest."""


def draw(recording: Recording, path: Path) -> None:
    """Draw a run into a PNG; without a date, so that the same run is the same file."""
    drawn, panels = grid(3, 2, height=7.2)
    for panel, draw_one in zip(panels.flat, (_consumer, _trainers, _handles, _ledger, _pending, _stored), strict=True):
        _times(panel, recording)
        draw_one(panel, recording)
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


def _consumer(panel: Any, recording: Recording) -> None:
    _line(panel, recording.moments, lambda moment: moment.rss / MIB, BLUE, "resident")
    _line(panel, recording.moments, lambda moment: moment.uss / MIB, GREEN, "not shared with others")
    grown = slope(second_half(recording), lambda moment: moment.rss) / MIB
    _titled(panel, f"consumer: memory, MiB ({grown:+.2f} an hour in the second half)", "lower right")


def _trainers(panel: Any, recording: Recording) -> None:
    ended = [one.ended / 60 for one in recording.trainers]
    peaks = [one.peak / MIB for one in recording.trainers]
    panel.plot(ended, peaks, ".", color=ORANGE, ms=3.5, label="peak of each cycle")
    waiting = [moment for moment in recording.moments if moment.waiting is not None]
    _line(panel, waiting, lambda moment: (moment.waiting or 0) / MIB, BLUE, "waiting for the next")
    _titled(panel, "trainers, a fresh process each: memory, MiB", "lower right")


def _handles(panel: Any, recording: Recording) -> None:
    _line(panel, recording.moments, lambda moment: moment.handles, BLUE, "open handles")
    _line(panel, recording.moments, lambda moment: moment.threads, ORANGE, "threads")
    _titled(panel, "consumer: handles and threads", "center right")


def _ledger(panel: Any, recording: Recording) -> None:
    moments = recording.moments
    layers = [[_not_kept(moment) for moment in moments]]
    layers += [[moment.tables.get(name, 0) / MIB for moment in moments] for name in _KEPT]
    labels = ["work in progress", *(label for label, _ in _KEPT.values())]
    colours = [GREY, *(colour for _, colour in _KEPT.values())]
    panel.stackplot([moment.at / 60 for moment in moments], *layers, labels=labels, colors=colours, lw=0)
    _line(panel, moments, lambda moment: moment.ledger_wal / MIB, INK, "write-ahead log")
    _titled(panel, "ledger, MiB", "center")


def _not_kept(moment: Moment) -> float:
    """What the ledger takes beside its layers, in MiB: pending users, offsets, small tables, free pages."""
    return (moment.free + sum(size for name, size in moment.tables.items() if name not in _KEPT)) / MIB


def _pending(panel: Any, recording: Recording) -> None:
    _line(panel, recording.moments, lambda moment: moment.pending, BLUE, "users pending", width=0.7)
    _titled(panel, "users pending: each cycle takes them all", "upper right", legend=False)


def _stored(panel: Any, recording: Recording) -> None:
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
        panel.legend(loc=where, fontsize=8, ncols=2 if where == "center" else 1)
