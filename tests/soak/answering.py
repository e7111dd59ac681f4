"""What has to stay where a service is watched: every request is answered, soon, and the open page does not grow."""

from __future__ import annotations

from collections.abc import Sequence

from tests.soak.check import MIB, Check, compared, counted, middle
from tests.soak.recording import Recording, Scrape, Tab

TAB_ROOM, NODES_ROOM = 2 * MIB, 100
"""Growth of the tab from the second quarter to the last that is allowed: bytes of JavaScript, nodes of the document."""
SLOWEST = 1000.0
"""Milliseconds in which 99 of 100 requests have to be answered, catch-ups and cycles included."""
_PATHS = {"metrics": "metrics", "status": "api/v1/status"}


def of_watched(recording: Recording) -> list[Check]:
    """The checks of a run that was watched."""
    return [
        _answered(recording),
        *(_prompt(name, [one for one in recording.scrapes if one.path == path]) for name, path in _PATHS.items()),
        *_tab(recording),
    ]


def _answered(recording: Recording) -> Check:
    """No request is left without an answer, and there were some all the time."""
    length = recording.seconds / 4
    quarters = {int(one.at // length) for one in recording.scrapes}
    failed = sum(not one.answered for one in recording.scrapes)
    share = failed / max(1, len(recording.scrapes))
    told = f"{len(recording.scrapes):,} requests, {failed:,} without an answer ({share:.2%})"
    silent = [number + 1 for number in range(4) if number not in quarters]
    if silent:
        told += f"; none was made in quarter {', '.join(map(str, silent))}"
    figures = {"requests": len(recording.scrapes), "failed": failed, "share": round(share, 5)}
    return Check("page answered", not failed and not silent, told, figures)


def _prompt(name: str, scrapes: Sequence[Scrape]) -> Check:
    taken = sorted(one.ms for one in scrapes)
    if not taken:
        return Check(f"{name}, milliseconds", flat=False, told="nobody asked")
    half, most = _percentile(taken, 0.5), _percentile(taken, 0.99)
    told = f"p50 {half:.1f}, p99 {most:.1f}; a p99 of at most {SLOWEST:,.0f} is flat"
    figures = {"p50": round(half, 2), "p99": round(most, 2), "slowest": round(taken[-1], 2), "at_most": SLOWEST}
    return Check(f"{name}, milliseconds", most <= SLOWEST, told, figures)


def _percentile(taken: Sequence[float], share: float) -> float:
    """The value that so many of the sorted ones do not exceed."""
    return taken[min(len(taken) - 1, int(share * len(taken)))]


def _tab(recording: Recording) -> list[Check]:
    second, last = _quarter(recording, 1), _quarter(recording, 3)
    errors = sum(one.errors for one in recording.tab)
    return [
        compared("tab's JavaScript", middle(o.heap for o in second), middle(o.heap for o in last), TAB_ROOM),
        counted("tab's nodes", middle(one.nodes for one in second), middle(one.nodes for one in last), NODES_ROOM),
        Check("tab's console", not errors, f"{errors} errors", {"errors": errors}),
    ]


def _quarter(recording: Recording, number: int) -> list[Tab]:
    length = recording.seconds / 4
    return [one for one in recording.tab if number * length <= one.at < (number + 1) * length]
