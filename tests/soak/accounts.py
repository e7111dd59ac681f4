"""Nothing lost, nothing twice: what the topic held at the end of a run against what the ledger says of it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.soak.stream import GARBAGE_KEY, OTHER_KEY


@dataclass(frozen=True, slots=True)
class Accounts:
    """What was found. `problems` says what does not add up; none where nothing is lost and nothing is twice."""

    records: int
    users: int
    pending: int
    lost: int
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For the results."""
        return {**asdict(self), "problems": list(self.problems)}


_PENDING = """
SELECT user_id FROM changes JOIN portions ON portions.kind = 'users' AND portions.number = changes.portion
WHERE cycle_id = '' OR cycle_id IN (SELECT cycle_id FROM cycles WHERE state = 'running')
"""
"""And not what is settled and waits for being taken away."""


def settle_up(folder: Path) -> Accounts:
    """The accounts of a run that has ended."""
    topic = json.loads((folder / "topic.json").read_text())
    registered = len([path for path in (folder / "state" / "registry").glob("*/*") if path.is_dir()])
    with closing(sqlite3.connect(f"file:{folder / 'state' / 'ledger.db'}?mode=ro", uri=True)) as db:
        return compare(db, topic, registered)


def compare(db: sqlite3.Connection, topic: dict[str, Any], registered: int) -> Accounts:
    """A ledger against what the topic held, and against how many versions the registry holds."""
    offsets = {
        partition: (next_offset, settled)
        for partition, next_offset, settled in db.execute("SELECT partition, next_offset, settled_offset FROM offsets")
    }
    problems = _stored(db, offsets, topic) + _covered(db, offsets) + _versions(db, registered)
    settled = {partition: end for partition, (_, end) in offsets.items()} | _unchanged(db)
    pending = {user for (user,) in db.execute(_PENDING)}
    learned = {user for (user,) in db.execute("SELECT user_id FROM learned")}
    lost = [
        user
        for user, (partition, offset) in topic["last"].items()
        if user not in pending and (user not in learned or offset >= settled.get(partition, 0))
    ]
    if lost:
        problems.append(f"{len(lost)} users are neither pending nor learned: {', '.join(sorted(lost)[:5])}")
    return Accounts(sum(topic["ends"]), len(topic["last"]), len(pending), len(lost), tuple(problems))


def _stored(db: sqlite3.Connection, offsets: dict[int, tuple[int, int]], topic: dict[str, Any]) -> list[str]:
    """Every record is accounted for, as what it is."""
    problems = [
        f"partition {partition} ends at {end}, the ledger at {offsets.get(partition, (0, 0))[0]}"
        for partition, end in enumerate(topic["ends"])
        if offsets.get(partition, (0, 0))[0] != end
    ]
    events, ignored = db.execute("SELECT sum(events), sum(ignored) FROM offsets").fetchone()
    (dead,) = db.execute("SELECT count(*) FROM dead_letters").fetchone()
    kinds = topic["kinds"]
    of_others, unreadable = kinds[OTHER_KEY.decode()], kinds[GARBAGE_KEY.decode()]
    problems += [
        f"{name}: {held} on the topic, {found} in the ledger"
        for name, held, found in (
            ("events", sum(kinds.values()), events),
            ("of other groups", of_others, ignored),
            ("dead letters", unreadable, dead),
        )
        if held != found
    ]
    if sum(topic["ends"]) != sum(kinds.values()):
        problems.append(f"the topic ends at {sum(topic['ends'])} and holds {sum(kinds.values())} records")
    return problems


def _covered(db: sqlite3.Connection, offsets: dict[int, tuple[int, int]]) -> list[str]:
    """The champions' offsets follow each other from 0 to what is settled, without gap or overlap."""
    problems: list[str] = []
    reached = dict.fromkeys(offsets, 0)
    query = "SELECT cycle_id, lineage FROM cycles WHERE state = 'registered' ORDER BY number"
    for cycle_id, lineage in db.execute(query):
        for ranges in json.loads(lineage)["offsets"].values():
            for number, (since, until) in ranges.items():
                partition = int(number)
                if reached[partition] != since:
                    problems.append(
                        f"{cycle_id} begins at {since} in partition {partition}, not at {reached[partition]}"
                    )
                reached[partition] = until
    problems += [
        f"partition {partition} is settled to {settled}, its versions reach {reached[partition]}"
        for partition, (_, settled) in offsets.items()
        if settled != reached[partition]
    ]
    return problems


def _unchanged(db: sqlite3.Connection) -> dict[int, int]:
    """How far users are settled without a version, by partition, where the last cycle that settled any made none."""
    query = "SELECT state, lineage FROM cycles WHERE settled ORDER BY number DESC LIMIT 1"
    for state, lineage in db.execute(query):
        if state == "unchanged":
            ranges = json.loads(lineage)["offsets"].values()
            return {int(number): until for told in ranges for number, (_, until) in told.items()}
    return {}


def _versions(db: sqlite3.Connection, registered: int) -> list[str]:
    """Each registered cycle has its version, and the registry has those that retention has left."""
    known, standing = db.execute("SELECT count(*), count(*) - count(deleted_at) FROM versions").fetchone()
    (ended,) = db.execute("SELECT count(*) FROM cycles WHERE state = 'registered'").fetchone()
    if known == ended and standing == registered:
        return []
    deleted = f" ({known - standing} of them deleted)" if known > standing else ""
    return [f"{ended} cycles registered, {known} versions in the ledger{deleted}, {registered} in the registry"]
