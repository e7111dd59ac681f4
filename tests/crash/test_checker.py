"""The checker finds what it is there to find: in made-up histories, and in services with a planted bug."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.events import Change, Group, decode, encode, encode_label
from schemas.fault_points import Point
from schemas.keys import BadEvent
from tests.crash.checker import check
from tests.crash.evidence import Cycle, Evidence, Stand, Version, Waiting
from tests.crash.follows import LABELS
from tests.crash.harness import Run
from tests.crash.plan import Blow
from tests.crash.stream import FOREIGN, GARBAGE, LABEL_FOREIGN, LABEL_GARBAGE
from tests.crash.tally import Tally
from tests.crash.topic import Kind, Sent, told
from tests.worlds import GROUP

BUGS = Path(__file__).with_name("bugs")


U0, U1, L0 = ("users", 0), ("users", 1), ("labels", 0)
AB, BC, CD = '["a","b"]', '["b","c"]', '["c","d"]'


def change(user: str, partition: int, offset: int) -> Sent:
    return Sent("user", user, "users", partition, offset, at=100.0 + offset)


def label(pair: str, offset: int) -> Sent:
    return Sent("label", pair, "labels", 0, offset, at=100.0 + offset)


def other(kind: Kind, offset: int) -> Sent:
    return Sent(kind, None, "users", 1, offset, at=100.0 + offset)


# Two versions and what came after them. Users, partition 0: a b [c] | a, and partition 1: x (garbage) d (somebody
# else's) | e. Labels: ab [bc ab] | cd.
RECORDS = [
    change("a", 0, 0),
    change("b", 0, 1),
    change("c", 0, 2),
    change("a", 0, 3),
    other("dead", 0),
    change("d", 1, 1),
    other("ignored", 2),
    change("e", 1, 3),
    label(AB, 0),
    label(BC, 1),
    label(AB, 2),
    label(CD, 3),
]
SOUND = Evidence(
    sent=RECORDS,
    journal=RECORDS,
    stands={
        U0: Stand(next=4, settled=3, events=4, ignored=0),
        U1: Stand(next=4, settled=3, events=4, ignored=1),
        L0: Stand(next=4, settled=3, events=4, ignored=0),
    },
    waiting=[Waiting("a", 1), Waiting("e", 1), Waiting(CD, 1)],
    learned={"a": 101.0, "b": 102.0, "c": 103.0, "d": 102.0, AB: 103.0, BC: 103.0},
    cycles={
        "c1": Cycle("registered", {U0: (0, 2), L0: (0, 1)}, settled=True, changed_users=2, changed_labels=1),
        "c2": Cycle("registered", {U0: (2, 3), U1: (0, 3), L0: (1, 3)}, True, changed_users=2, changed_labels=2),
        "c3": Cycle("rejected", {U0: (3, 4)}),
    },
    recorded={1: "c1", 2: "c2"},
    promoted=[1, 2],
    dead={(U1, 0): 1},
    versions=[
        Version(1, "c1", {U0: (0, 2), L0: (0, 1)}, 2, 1, read_users=7, read_labels=5, from_scratch=True, space="c1"),
        Version(2, "c2", {U0: (2, 3), U1: (0, 3), L0: (1, 3)}, 2, 2, read_users=2, read_labels=2, space="c1"),
    ],
    stored_rows={"a": b"new", "b": b"b", "c": b"c"},  # d is deleted, e is new
    matrix_rows={"a": b"old", "b": b"b", "c": b"c", "e": b"gone meanwhile"},
    pairs=frozenset({("a", "b")}),
    defined_pairs=frozenset({("a", "b")}),
    stored_labels={AB: (True, 1.0, 102.0), CD: (False, 1.0, 103.0)},  # bc is deleted, cd has just changed
    book_labels={AB: (True, 1.0, 102.0), CD: (True, 1.0, 50.0)},
)


def test_a_sound_history_has_no_findings() -> None:
    assert check(SOUND) == []
    assert check(UNCHANGED) == []
    assert check(NOT_YET) == []
    assert check(Evidence(sent=(), stands={})) == []


FIRST, SECOND = SOUND.versions
UNCHANGED = replace(  # c3 found nothing to learn in a's second event and in cd, and c4 registered e's
    SOUND,
    stands={
        U0: Stand(next=4, settled=4, events=4, ignored=0),
        U1: Stand(next=4, settled=4, events=4, ignored=1),
        L0: Stand(next=4, settled=4, events=4, ignored=0),
    },
    waiting=[],
    learned={**SOUND.learned, "a": 104.0, "e": 104.0, CD: 104.0},
    cycles={
        "c1": SOUND.cycles["c1"],
        "c2": SOUND.cycles["c2"],
        "c3": Cycle("unchanged", {U0: (3, 4), L0: (3, 4)}, settled=True, changed_users=1, changed_labels=1),
        "c4": Cycle("registered", {U0: (3, 4), U1: (3, 4), L0: (3, 4)}, settled=True, changed_users=1),
    },
    recorded={1: "c1", 2: "c2", 3: "c4"},
    promoted=[1, 2, 3],
    versions=[
        FIRST,
        SECOND,
        Version(3, "c4", {U0: (3, 4), U1: (3, 4), L0: (3, 4)}, 1, 0, 1, 1, read_users=1, space="c1"),
    ],
    stored_rows={"b": b"b", "c": b"c"},
    matrix_rows={"b": b"b", "c": b"c"},
    book_labels=SOUND.stored_labels,
)
NOT_YET = replace(  # c4 has not ended yet
    UNCHANGED,
    stands=SOUND.stands,
    waiting=[Waiting("e", 1, "c4")],
    cycles={
        **UNCHANGED.cycles,
        "c4": Cycle("running", {U0: (3, 4), U1: (3, 4), L0: (3, 4)}, changed_users=1),
    },
    recorded=SOUND.recorded,
    promoted=SOUND.promoted,
    versions=SOUND.versions,
)


BROKEN: dict[str, tuple[Evidence, str, str]] = {
    "a pending user is gone": (
        replace(SOUND, waiting=[Waiting("a", 1), Waiting(CD, 1)]),
        "lost",
        "e changed at users 1@3",
    ),
    "an acknowledged record is not in the topic": (
        replace(SOUND, journal=[*RECORDS, change("a", 0, 4)]),
        "lost",
        "users 0@4: the topic has None, the committer sent ('user', 'a')",
    ),
    "a record is another one than was sent": (
        replace(SOUND, journal=[change("z", 0, 0), *RECORDS[1:]]),
        "wrong",
        "users 0@0: the topic has ('user', 'a'), the committer sent ('user', 'z')",
    ),
    "an unchanged user left the ledger, and no cycle says so": (
        replace(NOT_YET, cycles={**NOT_YET.cycles, "c3": replace(NOT_YET.cycles["c3"], settled=False)}),
        "lost",
        "a changed at users 0@3, which nobody learned, and is not pending",
    ),
    "an unchanged user is pending all the same": (
        replace(NOT_YET, waiting=[*NOT_YET.waiting, Waiting("a", 1)]),
        "duplicated",
        "a: 1 events pending, 0 sent",
    ),
    "an unchanged cycle settled fewer users than its events name": (
        replace(NOT_YET, cycles={**NOT_YET.cycles, "c3": replace(NOT_YET.cycles["c3"], changed_users=0)}),
        "lost",
        "cycle c3 settled 0 users, its events name 1",
    ),
    "a version forgets the unchanged users that it covers": (
        replace(UNCHANGED, versions=[FIRST, SECOND, replace(UNCHANGED.versions[-1], unchanged_users=0)]),
        "wrong",
        "version 3 counts 0 unchanged users, not 1",
    ),
    "a user was never learned": (
        replace(SOUND, learned={user: at for user, at in SOUND.learned.items() if user != "b"}),
        "lost",
        "b changed at users 0@1, in a version's offsets, and was not learned",
    ),
    "a user was learned before its last change only": (
        replace(SOUND, learned={**SOUND.learned, "c": 101.0}),
        "lost",
        "c changed at users 0@2",
    ),
    "a version learned fewer users than its events name": (
        replace(SOUND, versions=[FIRST, replace(SECOND, changed_users=1)]),
        "lost",
        "version 2 learned 1 users, its events name 2",
    ),
    "a trainer read fewer users than its events name": (
        replace(SOUND, versions=[FIRST, replace(SECOND, read_users=1)]),
        "lost",
        "version 2 read 1 users, its events name 2",
    ),
    "a trainer from scratch read fewer users than its events name": (
        replace(SOUND, versions=[replace(FIRST, read_users=1), SECOND]),
        "lost",
        "version 1 read 1 users, its events name 2",
    ),
    "a trainer that follows read everybody": (
        replace(SOUND, versions=[FIRST, replace(SECOND, read_users=7)]),
        "wrong",
        "version 2 read 7 users, its events name 2",
    ),
    "an event is missing from a pending user": (
        replace(SOUND, sent=[*SOUND.sent, change("a", 0, 4)], stands={**SOUND.stands, U0: Stand(5, 3, 5, 0)}),
        "lost",
        "a: 1 events pending, 2 sent",
    ),
    "an event was counted twice": (
        replace(SOUND, waiting=[Waiting("a", 2), Waiting("e", 1), Waiting(CD, 1)]),
        "duplicated",
        "a: 2 events pending, 1 sent",
    ),
    "a record was not read": (
        replace(SOUND, sent=[*SOUND.sent, change("a", 0, 4)]),
        "lost",
        "users 0 ends at 5, the ledger stands at 4",
    ),
    "a partition was not read": (replace(SOUND, stands={U0: SOUND.stands[U0]}), "lost", "does not know it"),
    "records were taken twice": (
        replace(SOUND, stands={**SOUND.stands, U0: Stand(4, 3, 5, 0)}),
        "duplicated",
        "users 0: 5 records counted, 4 sent",
    ),
    "a user's last event is in no version's offsets": (
        replace(SOUND, versions=[FIRST, replace(SECOND, ranges={U1: (0, 3)})]),
        "lost",
        "c changed at users 0@2, which nobody learned, and is not pending",
    ),
    "offsets are nobody's": (
        replace(SOUND, versions=[Version(1, "c1", {U0: (0, 1)}, 1), SECOND]),
        "lost",
        "version 2: offsets 1 to 2 of users 0 are nobody's",
    ),
    "offsets are two versions' own": (
        replace(SOUND, versions=[FIRST, Version(2, "c2", {U0: (1, 3), U1: (0, 3)}, 3)]),
        "duplicated",
        "version 2: users 0 again from 1",
    ),
    "more is settled than any version has learned": (
        replace(SOUND, stands={**SOUND.stands, U0: Stand(4, 4, 4, 0)}),
        "lost",
        "users 0 settled to 4, versions reach 3",
    ),
    "a cycle has two versions": (
        replace(SOUND, versions=[*SOUND.versions, Version(3, "c2", {U0: (2, 3), U1: (0, 3)}, 2)]),
        "duplicated",
        "cycle c2 registered versions 2, 3",
    ),
    "a version is not in the ledger": (
        replace(SOUND, versions=[*SOUND.versions, Version(3, "c3", {U0: (3, 4)}, 1)]),
        "wrong",
        "version 3 of cycle c3 is not in the ledger",
    ),
    "a version is not in the registry": (
        replace(SOUND, versions=SOUND.versions[1:]),
        "lost",
        "version 1 is in the ledger and not in the registry",
    ),
    "a version is of another cycle": (
        replace(SOUND, recorded={1: "c1", 2: "c3"}),
        "wrong",
        "version 2 is of cycle c2, the ledger says c3",
    ),
    "a version has another lineage": (
        replace(SOUND, cycles={**SOUND.cycles, "c1": Cycle("registered", {U0: (0, 1)})}),
        "wrong",
        "another lineage of cycle c1",
    ),
    "a number has no complete version": (
        replace(SOUND, versions=[*SOUND.versions, Version(3, damage="3 has no manifest.json")]),
        "wrong",
        "version 3 is not complete",
    ),
    "the champion is not there": (replace(SOUND, promoted=[1, 2, 7]), "wrong", "names version 7"),
    "the champion is damaged": (
        replace(SOUND, versions=[FIRST, replace(SECOND, damage="lacks metrics.json")]),
        "wrong",
        "the champion pointer names version 2, which is not there complete",
    ),
    "there is no champion": (replace(SOUND, promoted=[]), "wrong", "there are versions, and no champion"),
    "a dead letter is missing": (replace(SOUND, dead={}), "lost", "users 1@0: 0 dead letters, 1 expected"),
    "a dead letter is there twice": (replace(SOUND, dead={(U1, 0): 2}), "duplicated", "2 dead letters, 1 expected"),
    "a dead letter is of a sound record": (
        replace(SOUND, dead={(U1, 0): 1, (U0, 0): 1}),
        "duplicated",
        "users 0@0: 1 dead letters, 0 expected",
    ),
    "the champion's space cannot be opened": (
        replace(SOUND, no_space=True, stored_rows={}, matrix_rows={}, pairs=frozenset(), defined_pairs=frozenset()),
        "wrong",
        "the champion's space cannot be opened",
    ),
    "a row is old": (
        replace(SOUND, matrix_rows={**SOUND.matrix_rows, "b": b"old"}),
        "lost",
        "the user matrix has an old row of b",
    ),
    "a row is missing": (
        replace(SOUND, matrix_rows={user: row for user, row in SOUND.matrix_rows.items() if user != "b"}),
        "lost",
        "the user matrix lacks b",
    ),
    "a deleted user is still there": (
        replace(SOUND, matrix_rows={**SOUND.matrix_rows, "d": b"d"}),
        "lost",
        "the user matrix still has d",
    ),
    "a pair is missing": (replace(SOUND, pairs=frozenset()), "wrong", "the graph lacks the pair ('a', 'b')"),
    "a pair too many": (
        replace(SOUND, pairs=SOUND.pairs | {("b", "c")}),
        "wrong",
        "the graph has the pair ('b', 'c'), which is none",
    ),
    "a pending label is gone": (
        replace(SOUND, waiting=SOUND.waiting[:2]),
        "lost",
        f"{CD} changed at labels 0@3, which nobody learned, and is not pending",
    ),
    "a label was learned before its last change only": (
        replace(SOUND, learned={**SOUND.learned, AB: 100.5}),
        "lost",
        f"{AB} changed at labels 0@2, in a version's offsets, and was not learned since",
    ),
    "a label's event was counted twice": (
        replace(SOUND, waiting=[*SOUND.waiting, Waiting(CD, 1, "c9")]),
        "duplicated",
        f"{CD}: 2 events pending, 1 sent",
    ),
    "a cycle that does not run has claimed a label": (
        replace(SOUND, waiting=[*SOUND.waiting[:2], Waiting(CD, 1, "c3")]),
        "wrong",
        f"{CD} is claimed by cycle c3, which does not run",
    ),
    "label topic was not read": (
        replace(SOUND, stands={U0: SOUND.stands[U0], U1: SOUND.stands[U1]}),
        "lost",
        "labels 0 ends at 4, the ledger does not know it",
    ),
    "a version learned fewer labels than its events name": (
        replace(SOUND, versions=[FIRST, replace(SECOND, changed_labels=1)]),
        "lost",
        "version 2 learned 1 labels, its events name 2",
    ),
    "a trainer read fewer labels than its events name": (
        replace(SOUND, versions=[FIRST, replace(SECOND, read_labels=0)]),
        "lost",
        "version 2 read 0 labels, its events name 2",
    ),
    "a trainer that follows read every label": (
        replace(SOUND, versions=[FIRST, replace(SECOND, read_labels=5)]),
        "wrong",
        "version 2 read 5 labels, its events name 2",
    ),
    "an unchanged cycle settled fewer labels than its events name": (
        replace(NOT_YET, cycles={**NOT_YET.cycles, "c3": replace(NOT_YET.cycles["c3"], changed_labels=0)}),
        "lost",
        "cycle c3 settled 0 labels, its events name 1",
    ),
    "a version forgets the unchanged labels that it covers": (
        replace(UNCHANGED, versions=[FIRST, SECOND, replace(UNCHANGED.versions[-1], unchanged_labels=0)]),
        "wrong",
        "version 3 counts 0 unchanged labels, not 1",
    ),
    "a label is old": (
        replace(SOUND, book_labels={**SOUND.book_labels, AB: (False, 1.0, 100.0)}),
        "lost",
        f"the label book has an old word of {AB}",
    ),
    "a label is missing": (replace(SOUND, book_labels={}), "lost", f"the label book lacks {AB}"),
    "a deleted label is still there": (
        replace(SOUND, book_labels={**SOUND.book_labels, BC: (True, 1.0, 101.0)}),
        "lost",
        f"the label book still has {BC}",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_is_found(name: str) -> None:
    evidence, kind, what = BROKEN[name]
    assert [finding for finding in check(evidence) if finding.kind == kind and what in finding.what]


def test_versions_that_followed_are_those_in_the_champions_space() -> None:
    assert SOUND.followed == 1
    anew = Version(3, "c3", {U0: (3, 4)}, 1, read_users=7, from_scratch=True, space="c3")
    assert replace(SOUND, versions=[*SOUND.versions, anew], promoted=[1, 2, 3]).followed == 0
    assert Evidence(sent=(), stands={}).followed == 0


def test_a_record_of_the_stream_is_told_by_its_bytes_as_the_decoder_tells_it() -> None:
    users = [(b"u1", encode(GROUP, "u1")), (b"u1", None), FOREIGN, *GARBAGE]
    labels = [(AB.encode(), encode_label(LABELS, ("a", "b"))), (AB.encode(), None), LABEL_FOREIGN, *LABEL_GARBAGE]
    for group, records, kind in ((GROUP, users, "user"), (LABELS, labels, "label")):
        found = [_decoded(group, *record, kind) for record in records]
        assert {kind for kind, _ in found} == {kind, "ignored", "dead"}
        assert [told(*record, of_labels=group is LABELS) for record in records] == found


def _decoded(group: Group, key: bytes | None, value: bytes | None, kind: str) -> tuple[str, str | None]:
    try:
        found = decode(group, key, value, {})
    except BadEvent:
        return "dead", None
    return (kind, found.key) if isinstance(found, Change) else ("ignored", None)


def run_with_bug(folder: Path, broker: str, bug: str, *blows: Blow) -> Tally:
    """A service with a planted bug is struck a few times; everything else is as in `make crash`."""
    path = os.pathsep.join(filter(None, (str(BUGS / bug), os.environ.get("PYTHONPATH"))))
    with Run(folder, broker, seed=5, pythonpath=path) as run:
        for blow in blows:
            assert run.strike(blow)
        return run.settle()


@pytest.mark.full
def test_offsets_committed_before_the_changes_are_stored_lose_changes(tmp_path: Path, kafka_address: str) -> None:
    tally = run_with_bug(tmp_path, kafka_address, "early_offset", Blow("consumer", Point.STORING))
    assert tally.found("lost"), tally.findings
    assert tally.found("duplicated") == 0


@pytest.mark.full
def test_registration_without_lookup_registers_a_cycle_twice(tmp_path: Path, kafka_address: str) -> None:
    tally = run_with_bug(tmp_path, kafka_address, "no_lookup", Blow("both", Point.ANSWERING))
    assert [finding for finding in tally.findings if "registered versions 1, 2" in finding.what], tally.findings


@pytest.mark.full
def test_a_cycle_that_settles_labels_which_came_meanwhile_loses_them(tmp_path: Path, kafka_address: str) -> None:
    tally = run_with_bug(tmp_path, kafka_address, "lost_labels", Blow("consumer", Point.SETTLED))
    lost = [finding.what for finding in tally.findings if finding.kind == "lost"]
    assert [what for what in lost if what.startswith('["u') and "was not learned since" in what], tally.findings
    assert [what for what in lost if "labels, its events name" in what]
    assert [what for what in lost if what.startswith("u") or "users, its events name" in what] == []
    assert tally.found("duplicated") == 0


@pytest.mark.full
def test_a_trainer_that_leaves_out_claimed_users_and_labels_has_wrong_rows_pairs_and_labels(
    tmp_path: Path, kafka_address: str
) -> None:
    tally = run_with_bug(tmp_path, kafka_address, "skipped_rows", Blow("consumer", Point.SETTLED))
    assert tally.compared > [0], "no version has followed"
    for what in ("the user matrix has an old row of", "the label book lacks"):
        assert [finding for finding in tally.findings if what in finding.what], what
    assert tally.found("wrong"), tally.findings
