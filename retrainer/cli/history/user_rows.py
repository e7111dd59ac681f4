"""What became of one user, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from consumer.ledger.past_changes import ChangeOnRecord
from consumer.moments import in_utc
from retrainer.cli.history.parts import Part
from retrainer.cli.history.user import UserStory, is_unchanged
from retrainer.cli.history.words import NOTHING, figure, long, moment
from schemas.events import Operation
from schemas.jobs.explanation import Explanation, Found, NearestUsers

_PARTS = {
    "train": "among the users who are trained on",
    "dev": "among the dev users, who are never trained on: epochs are chosen on them",
    "holdout": "among the held-out users, who are never trained on: exams ask about them",
}


def user_parts(story: UserStory, found: Explanation | None) -> Iterator[Part]:
    """A user's story in parts; `found` is what the trainer room knows, if it was asked."""
    yield Part("", {"user": story.user, **_settled(story), **_waiting(story), **_now(found)})
    yield _way(story)
    if found is not None:
        yield _nearest(found)
        yield _traces(found)


def _settled(story: UserStory) -> dict[str, str]:
    settled, by = story.on_record.settled, story.settled_by
    if settled is None:
        return {"learned": f"no change of it is on record{_whole(story)}"}
    if settled.cycle_id is None:
        return {
            "learned": f"an earlier release settled its last change, stored {in_utc(settled.received_at)}, and did not "
            f"note by which cycle{_whole(story)}"
        }
    if by is None:
        return {"learned": f"its last change was settled by cycle {settled.cycle_id}, which is on record no more"}
    gone = "its deletion" if settled.operation == Operation.DELETE else "its last change"
    if story.learned_version is not None:
        learned = f"{gone}, by version {story.learned_version} (cycle {by['cycle_id']}, {by['kind']})"
    elif is_unchanged(by):
        learned = f"{gone} changed nothing: cycle {by['cycle_id']} settled it, and version {by['base_version']} answers"
    else:
        learned = f"{gone} was settled by cycle {by['cycle_id']}, {by['state']}"
    return {"learned": learned + _whole(story)}


def _whole(story: UserStory) -> str:
    later = story.later_whole
    if later is None:
        return ""
    settled = story.on_record.settled is not None
    how = "has read every user again" if settled else "has read every user"
    return f"; version {later['version']['version']} ({later['kind']}, cycle {later['cycle_id']}) {how}"


def _waiting(story: UserStory) -> dict[str, str]:
    told, lines = story.on_record, {}
    if told.claimed is not None:
        lines["claimed"] = f"{_events(told.claimed)}: cycle {told.claimed.cycle_id} runs with it now"
    if told.pending is not None:
        lines["pending"] = f"{_events(told.pending)}, stored {in_utc(told.pending.received_at)}; {_tried(told.pending)}"
        if told.pending.learned_by:
            lines["pending"] += f"; cycle {told.pending.learned_by} has learned it, and its version is not the champion"
    if told.tries:
        lines["given back by"] = "\n".join(
            f"{one.cycle_id}, {one.state}{'' if one.ended_at is None else ' ' + in_utc(one.ended_at)}: {one.reason}"
            for one in told.tries
        )
    if told.refused is not None:
        times = "once" if told.refused.times == 1 else f"{told.refused.times} times, first {in_utc(told.refused.since)}"
        lines["refused"] = f"{told.refused.reason}; {times}, last by cycle {told.refused.cycle_id}"
    return lines or {"since": "nothing of it is pending, claimed or refused"}


def _events(change: ChangeOnRecord) -> str:
    count = change.events or 1
    what = "deletion" if change.operation == Operation.DELETE else "change"
    return f"{what} of {count} event{'s' if count > 1 else ''}, up to {change.last_position}"


def _tried(change: ChangeOnRecord) -> str:
    return "tried, and given back: it rides with the next cycle" if change.tried else "no cycle has tried it yet"


def _now(found: Explanation | None) -> dict[str, str]:
    if found is None:
        return {}
    lines = {"split": _PARTS[found.part]} if found.in_store is not False else {}
    if found.in_store is not None:
        row = "has a row of it" if found.in_store else "has no row of it"
        fit = f", which is unfit: {found.refused}" if found.refused else ""
        same = {None: "", True: ", the one that the user matrix has", False: ", another than the user matrix has"}
        lines["store"] = f"the feature store {row}{fit}{same[found.same_row]}"
    return lines


def _way(story: UserStory) -> Part:
    """How long the last settled change took, from its event to the version."""
    settled, by = story.on_record.settled, story.settled_by
    if settled is None or by is None or settled.last_event_at is None or settled.cycle_id is None:
        return Part("")
    registered = by["version"]["registered_at"] if by["version"] else None
    end = registered or by["ended_at"]
    stops = [
        ("event", in_utc(settled.last_event_at), f"{settled.last_position}, the last of {settled.events}"),
        ("stored", in_utc(settled.received_at), "by the listener, in the ledger"),
        ("claimed", moment(by["claimed_at"]), f"by cycle {by['cycle_id']}: {by['reason']}"),
        ("registered" if registered else by["state"], moment(end), _outcome_of(story)),
    ]
    times = [settled.last_event_at, settled.received_at, *map(_seconds, (by["claimed_at"], end))]
    took = ["", *(long(later - earlier) for earlier, later in pairwise(times))]
    rows = [(name, at, after, what) for (name, at, what), after in zip(stops, took, strict=True)]
    heads = ("step", "at", "after", "what")
    title = f"The last settled change: {long(times[-1] - times[0])} from event to {stops[-1][0]}"
    return Part(title, {}, heads, rows, frozenset({"step", "at", "what"}), long_last=True)


def _outcome_of(story: UserStory) -> str:
    if story.learned_version is not None:
        return f"version {story.learned_version}"
    return "no version: the champion answers for it"


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def _nearest(found: Explanation) -> Part:
    if found.now is None and found.before is None:
        return Part("", notes=list(found.notes))
    columns = [(name, one) for name, one in (("before", found.before), ("now", found.now)) if one is not None]
    heads = ["rank"]
    for name, one in columns:
        heads += [f"{name}, version {one.version}", f"cosine {name}"]
    most = max(len(one.users) for _, one in columns)
    rows = [[str(rank + 1), *(cell for _, one in columns for cell in _cells(one, rank))] for rank in range(most)]
    notes = [f"both on today's rows: the others are those of {found.rows}"] if len(columns) > 1 else []
    notes += [one.note for _, one in columns if one.note]
    notes += found.notes
    if found.before is not None and found.now is not None and rows:
        notes.append(_moved(found.before, found.now))
    return Part("Nearest", {}, heads, rows, frozenset(head for head in heads if "version" in head), notes=notes)


def _cells(one: NearestUsers, rank: int) -> tuple[str, str]:
    if rank >= len(one.users):
        return NOTHING, NOTHING
    near = one.users[rank]
    return near.user, figure(near.cosine)


def _moved(before: NearestUsers, now: NearestUsers) -> str:
    stay = {one.user for one in before.users} & {one.user for one in now.users}
    return f"{len(stay)} of {len(now.users)} were among the nearest before"


def _traces(found: Explanation) -> Part:
    if not found.traces:
        return Part("")
    heads = ("place", "found", "evidence")
    rows = [
        (one.place, one.found.value, one.evidence + (f"; to do: {one.way_out}" if one.way_out else ""))
        for one in found.traces
    ]
    held = [one for one in found.traces if one.found is Found.HELD]
    unknown = [one for one in found.traces if one.found is Found.UNKNOWN]
    if held:
        told = f"{len(held)} of {len(found.traces)} places still hold it"
    elif unknown:
        told = "whether anything holds it is not known"
    else:
        later = sum(one.found is Found.OUTGOING for one in found.traces)
        told = f"none of {len(found.traces)} places holds it" + (
            f" for good; {later} name it until that goes" if later else ""
        )
    weights = (
        "Versions that were trained while it was there keep what they learned until they are deleted; a full retrain "
        "starts without it."
    )
    return Part(
        "Deleted: what still holds it", {}, heads, rows, frozenset(heads), long_last=True, notes=[told, weights]
    )
