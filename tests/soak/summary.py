"""What a run comes to, in numbers: what `results.json` says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from tests.soak.accounts import Accounts
from tests.soak.check import MIB
from tests.soak.recording import Moment, Recording
from tests.soak.verdict import Verdict, bytes_a_cycle, quarter, slope

_RESTART = 60.0
"""An absence shorter than this is a restart."""


def summary(recording: Recording, verdict: Verdict, accounts: Accounts | None) -> dict[str, Any]:
    """Everything that is told of a run; `accounts` are there once it has ended."""
    moments = recording.moments
    first, last = moments[0], moments[-1]
    long_away = [until - since for since, until in recording.away if until - since >= _RESTART]
    rows = {name: [first.rows[name], last.rows[name]] for name in last.rows}
    return {
        "verdict": verdict.word,
        "commit": recording.facts.get("machine", {}).get("commit"),
        "checks": [asdict(check) for check in verdict.checks],
        "accounts": accounts.as_json() if accounts else None,
        "minutes": recording.minutes,
        "records": last.stored,
        "cycles": len(recording.cycles),
        "outcomes": dict(Counter(cycle.outcome for cycle in recording.cycles)),
        "kinds": dict(Counter(cycle.kind for cycle in recording.cycles)),
        "versions": last.rows["versions"],
        "broker_stops": len(recording.away),
        "broker_away_minutes": round(sum(long_away) / 60, 2),
        "most_lag": max(moment.lag or 0 for moment in moments),
        "most_seconds_without_a_poll": max(moment.polled_ago or 0.0 for moment in moments),
        "consumer": {
            "rss_mib": _quarters(recording, lambda moment: moment.rss),
            "uss_mib": _quarters(recording, lambda moment: moment.uss),
            "handles": _extremes(moment.handles for moment in moments),
            "threads": _extremes(moment.threads for moment in moments),
            "cpu_share": round((last.cpu - first.cpu) / max(1.0, last.at - first.at), 4),
        },
        "trainer": {
            "processes": len(recording.trainers),
            "peak_mib": _trainer_quarters(recording),
            "waiting_mib": _quarters(recording, lambda moment: moment.waiting),
            "waiting_handles": _extremes(moment.waiting_handles for moment in moments),
            "most_handles": _extremes(one.handles for one in recording.trainers),
            "most_threads": _extremes(one.threads for one in recording.trainers),
            "cpu_seconds": _median([one.cpu for one in recording.trainers]),
        },
        "ledger": {
            "file_bytes": _ends(moments, lambda moment: moment.ledger_file),
            "wal_bytes": _ends(moments, lambda moment: moment.ledger_wal),
            "most_wal_bytes": max(moment.ledger_wal for moment in moments),
            "free_bytes": _ends(moments, lambda moment: moment.free),
            "table_bytes": {name: [first.tables.get(name, 0), size] for name, size in last.tables.items()},
            "rows": rows,
            "bytes_a_cycle": _rounded(bytes_a_cycle(moments)),
        },
        "watched": _watched(recording),
        "trainers_folder_bytes": _ends(moments, lambda moment: moment.work_bytes),
        "registry_bytes": _ends(moments, lambda moment: moment.registry_bytes),
        "log_bytes_an_hour": _rounded(slope(moments, lambda moment: moment.log_bytes)),
        "facts": dict(recording.facts),
    }


def lines(results: Mapping[str, Any]) -> list[str]:
    """What a run prints in the end, and what the documentation quotes, from its results."""
    told = results["verdict"] != "too short to tell"
    found = [f"{_mark(check['flat']) if told else ''}{check['name']}: {check['told']}" for check in results["checks"]]
    if accounts := results["accounts"]:
        registered = results["outcomes"].get("registered", 0)
        found.append(
            f"records={accounts['records']} users={accounts['users']} cycles={results['cycles']} "
            f"registered={registered} pending={accounts['pending']} lost={accounts['lost']}"
        )
        found += [f"NOT ACCOUNTED FOR  {problem}" for problem in accounts["problems"]]
    return found


def _watched(recording: Recording) -> dict[str, Any] | None:
    """What the watchers saw; None where nobody watched."""
    if not recording.watched:
        return None
    return {
        "requests": len(recording.scrapes),
        "failed": sum(not one.answered for one in recording.scrapes),
        "tab_heap_mib": _spread(one.heap for one in recording.tab),
        "tab_nodes": _extremes(one.nodes for one in recording.tab),
        "tab_errors": sum(one.errors for one in recording.tab),
    }


def _mark(flat: bool) -> str:
    return "flat      " if flat else "NOT FLAT  "


def _quarters(recording: Recording, of: Callable[[Moment], int | None]) -> list[dict[str, float | None]]:
    """Median and most of each quarter, in MiB."""
    return [_spread(of(moment) for moment in quarter(recording, number)) for number in range(4)]


def _trainer_quarters(recording: Recording) -> list[dict[str, float | None]]:
    length = recording.seconds / 4
    ended = [(int(one.ended // length), one.peak) for one in recording.trainers]
    return [_spread(peak for at, peak in ended if at == number) for number in range(4)]


def _spread(values: Iterable[int | None]) -> dict[str, float | None]:
    found = [value for value in values if value is not None]
    if not found:
        return {"median": None, "most": None}
    return {"median": round(median(found) / MIB, 2), "most": round(max(found) / MIB, 2)}


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 2) if values else None


def _ends(moments: Sequence[Moment], of: Callable[[Moment], int]) -> dict[str, int]:
    return {"first": of(moments[0]), "last": of(moments[-1])}


def _extremes(values: Iterable[int | None]) -> dict[str, float | None]:
    """Fewest, median and most of all that was seen."""
    found = [value for value in values if value is not None]
    if not found:
        return {"least": None, "median": None, "most": None}
    return {"least": min(found), "median": median(found), "most": max(found)}


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)
