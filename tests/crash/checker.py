"""The verdict over a run: every change settled or pending, nothing twice, and what is served is what was committed.

Pure. The topic is what happened; everything else has to agree with it and with each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.crash.evidence import Cycle, Evidence, Ranges, Version
from tests.crash.finding import Finding, Found, Kind
from tests.crash.keeping import KEPT
from tests.crash.topic import Place, Sent

_KINDS = ("user", "label")


def check(evidence: Evidence) -> list[Finding]:
    """Everything that is lost, duplicated or otherwise wrong."""
    return [
        Finding(kind, what)
        for rule in (
            _the_topic_holds_what_was_acknowledged,
            _offsets_are_read_to_the_end,
            _versions_tile_the_topic,
            _versions_learned_what_their_events_name,
            _versions_count_what_was_found_unchanged,
            _changes_are_learned_or_pending,
            _pending_events_are_counted_once,
            _a_cycle_has_one_version,
            _ledger_and_registry_agree,
            _the_champion_is_complete,
            _garbage_is_a_dead_letter_once,
            *KEPT,
        )
        for kind, what in rule(evidence)
    ]


def _the_topic_holds_what_was_acknowledged(evidence: Evidence) -> Found:
    """And nothing else: it is what the committer says."""
    told = {(one.place, one.offset): (one.kind, one.key) for one in evidence.journal}
    held = {(one.place, one.offset): (one.kind, one.key) for one in evidence.sent}
    for at in sorted(told.keys() | held.keys()):
        if told.get(at) != held.get(at):
            what = f"{_named(*at)}: the topic has {held.get(at)}, the committer sent {told.get(at)}"
            yield "wrong" if at in held else "lost", what


def _offsets_are_read_to_the_end(evidence: Evidence) -> Found:
    """Each record was taken once: the ledger stands at the end of each partition, and its counts are the topic's."""
    sent = _by_partition(evidence)
    for place in sorted(sent.keys() | evidence.stands.keys()):
        records, where = sent[place], _named(place)
        end = max((one.offset + 1 for one in records), default=0)
        stand = evidence.stands.get(place)
        if stand is None:
            yield "lost", f"{where} ends at {end}, the ledger does not know it"
            continue
        if stand.next != end:
            kind: Kind = "lost" if stand.next < end else "wrong"
            yield kind, f"{where} ends at {end}, the ledger stands at {stand.next}"
        ignored = sum(one.kind == "ignored" for one in records)
        for name, told, true in (("records", stand.events, len(records)), ("ignored", stand.ignored, ignored)):
            if told != true:
                kind = "lost" if told < true else "duplicated"
                yield kind, f"{where}: {told} {name} counted, {true} sent"


def _versions_tile_the_topic(evidence: Evidence) -> Found:
    """Versions that became champion follow each other in each partition, from its begin to what is settled."""
    reached: dict[Place, int] = defaultdict(int)
    for version in _learned_versions(evidence):
        for place, (start, end) in sorted(version.ranges.items()):
            at, where = reached[place], _named(place)
            if start > at:
                yield "lost", f"version {version.number}: offsets {at} to {start} of {where} are nobody's"
            if start < at:
                yield "duplicated", f"version {version.number}: {where} again from {start}, before {at}"
            reached[place] = max(at, end)
    for place, stand in sorted(evidence.stands.items()):
        if stand.settled != reached[place]:
            told = f"settled to {stand.settled}, versions reach {reached[place]}"
            yield "lost" if stand.settled > reached[place] else "duplicated", f"{_named(place)} {told}"


def _versions_learned_what_their_events_name(evidence: Evidence) -> Found:
    """A lineage names as many users, and labels, as have events in the offsets that no cycle had settled before.

    A version's trainer has read so many. One from scratch has read them all. One that follows has read more only where
    it had lost its space.
    """
    settled = dict(_settled_cycles(evidence))
    for kind in _KINDS:
        changes = [one for one in evidence.sent if one.kind == kind]
        for cycle_id, ranges in settled.items():
            cycle = evidence.cycles[cycle_id]
            count = len({one.key for one in changes if _within(one, ranges)})
            if cycle.state == "unchanged" and (told := _count(cycle, "changed", kind)) != count:
                yield "lost", f"cycle {cycle_id} settled {told} {kind}s, its events name {count}"
        for version in _learned_versions(evidence):
            ranges = settled.get(version.cycle_id, version.ranges)
            named = len({one.key for one in changes if _within(one, ranges)})
            claimed, read = _count(version, "changed", kind), _count(version, "read", kind)
            if claimed != named:
                wrong: Kind = "lost" if claimed < named else "wrong"
                yield wrong, f"version {version.number} learned {claimed} {kind}s, its events name {named}"
            if read < named:
                yield "lost", f"version {version.number} read {read} {kind}s, its events name {named}"
            elif read > named and not version.from_scratch:
                yield "wrong", f"version {version.number} read {read} {kind}s, its events name {named}"


def _versions_count_what_was_found_unchanged(evidence: Evidence) -> Found:
    """The lineage of a version counts the changes of the cycles since the last one that settled theirs without any."""
    versions = {one.cycle_id: one for one in _learned_versions(evidence)}
    for kind in _KINDS:
        unchanged = 0
        for cycle_id, _ in _settled_cycles(evidence):
            if (version := versions.get(cycle_id)) is None:
                unchanged += _count(evidence.cycles[cycle_id], "changed", kind)
                continue
            if (told := _count(version, "unchanged", kind)) != unchanged:
                yield "wrong", f"version {version.number} counts {told} unchanged {kind}s, not {unchanged}"
            unchanged = 0


def _changes_are_learned_or_pending(evidence: Evidence) -> Found:
    """Of each user and label the last event is in the offsets of a cycle that settled it, and so on record, or waits.

    What is claimed is claimed by the cycle that runs.
    """
    waiting = {one.key for one in evidence.waiting}
    learnt = [version.ranges for version in _learned_versions(evidence)]
    learnt += [ranges for cycle_id, ranges in _settled_cycles(evidence) if _is_unchanged(evidence, cycle_id)]
    last = {one.key: one for one in evidence.sent if one.is_change and one.key is not None}
    for key, event in last.items():
        if key in waiting:
            continue
        learned_at, where = evidence.learned.get(key), _named(event.place, event.offset)
        if not any(_within(event, ranges) for ranges in learnt):
            yield "lost", f"{key} changed at {where}, which nobody learned, and is not pending"
        elif learned_at is None or learned_at < event.at:
            yield "lost", f"{key} changed at {where}, in a version's offsets, and was not learned since"
    running = {"", *(cycle_id for cycle_id, cycle in evidence.cycles.items() if cycle.state == "running")}
    for one in evidence.waiting:
        if one.cycle_id not in running:
            yield "wrong", f"{one.key} is claimed by cycle {one.cycle_id}, which does not run"


def _pending_events_are_counted_once(evidence: Evidence) -> Found:
    """As many events are pending of each as the topic has behind what is settled, with a version or without."""
    true: Counter[str] = Counter()
    unchanged = [ranges for cycle_id, ranges in _settled_cycles(evidence) if _is_unchanged(evidence, cycle_id)]
    for one in evidence.sent:
        stand = evidence.stands.get(one.place)
        if any(_within(one, ranges) for ranges in unchanged):
            continue
        if one.is_change and one.key and stand and stand.settled <= one.offset < stand.next:
            true[one.key] += 1
    told: Counter[str] = Counter()
    for waiting in evidence.waiting:
        told[waiting.key] += waiting.events
    for key in sorted(true.keys() | told.keys()):
        if told[key] != true[key]:
            kind: Kind = "lost" if told[key] < true[key] else "duplicated"
            yield kind, f"{key}: {told[key]} events pending, {true[key]} sent"


def _a_cycle_has_one_version(evidence: Evidence) -> Found:
    for cycle_id, count in Counter(one.cycle_id for one in evidence.versions if one.cycle_id).items():
        if count > 1:
            numbers = ", ".join(str(one.number) for one in evidence.versions if one.cycle_id == cycle_id)
            yield "duplicated", f"cycle {cycle_id} registered versions {numbers}"


def _ledger_and_registry_agree(evidence: Evidence) -> Found:
    """The same numbers of the same cycles with the same lineage, and every one complete."""
    registered = {one.number: one for one in evidence.versions}
    running = {cycle_id for cycle_id, cycle in evidence.cycles.items() if cycle.state == "running"}
    for number in sorted(registered.keys() | evidence.recorded.keys()):
        version = registered.get(number)
        if version is None:
            yield "lost", f"version {number} is in the ledger and not in the registry"
            continue
        if version.damage is not None:
            yield "wrong", f"version {number} is not complete: {version.damage}"
            continue
        if number not in evidence.recorded:
            if version.cycle_id not in running:
                yield "wrong", f"version {number} of cycle {version.cycle_id} is not in the ledger"
        elif evidence.recorded[number] != version.cycle_id:
            told = evidence.recorded[number]
            yield "wrong", f"version {number} is of cycle {version.cycle_id}, the ledger says {told}"
        cycle = evidence.cycles.get(version.cycle_id)
        if cycle is None or cycle.ranges != version.ranges:
            yield "wrong", f"version {number}: the ledger has another lineage of cycle {version.cycle_id}"


def _the_champion_is_complete(evidence: Evidence) -> Found:
    if not evidence.promoted:
        if evidence.versions:
            yield "wrong", "there are versions, and no champion"
        return
    champion = evidence.promoted[-1]
    if not any(one.number == champion and one.damage is None for one in evidence.versions):
        yield "wrong", f"the champion pointer names version {champion}, which is not there complete"


def _garbage_is_a_dead_letter_once(evidence: Evidence) -> Found:
    sent = {(one.place, one.offset) for one in evidence.sent if one.kind == "dead"}
    for at in sorted(sent | evidence.dead.keys()):
        true, told = int(at in sent), evidence.dead.get(at, 0)
        if told != true:
            kind: Kind = "lost" if told < true else "duplicated"
            yield kind, f"{_named(*at)}: {told} dead letters, {true} expected"


def _learned_versions(evidence: Evidence) -> list[Version]:
    """The versions that settled their changes: those that became champion, in order."""
    promoted = set(evidence.promoted)
    return [one for one in evidence.versions if one.number in promoted]


def _settled_cycles(evidence: Evidence) -> list[tuple[str, Ranges]]:
    """The cycles that settled what they claimed, in order, each with the offsets that none before it had settled."""
    reached: dict[Place, int] = defaultdict(int)
    found = []
    for cycle_id, cycle in evidence.cycles.items():
        if cycle.settled:
            found.append((cycle_id, {number: (max(a, reached[number]), b) for number, (a, b) in cycle.ranges.items()}))
            reached.update({number: end for number, (_, end) in cycle.ranges.items()})
    return found


def _is_unchanged(evidence: Evidence, cycle_id: str) -> bool:
    return evidence.cycles[cycle_id].state == "unchanged"


def _by_partition(evidence: Evidence) -> dict[Place, list[Sent]]:
    found: dict[Place, list[Sent]] = defaultdict(list)
    for one in evidence.sent:
        found[one.place].append(one)
    return found


def _count(told: Cycle | Version, what: str, kind: str) -> int:
    """`changed_users` and the like."""
    return int(getattr(told, f"{what}_{kind}s"))


def _within(one: Sent, ranges: Ranges) -> bool:
    start, end = ranges.get(one.place, (0, 0))
    return start <= one.offset < end


def _named(place: Place, offset: int | None = None) -> str:
    return f"{place[0]} {place[1]}" if offset is None else f"{place[0]} {place[1]}@{offset}"
