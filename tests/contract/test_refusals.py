"""Users and labels that were refused stay on record, on both engines, until a version has learned them (P1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consumer.ledger.ledger import Ledger
from schemas.cycle import CycleKind, CycleResult, LabelReport, Outcome, ReadReport
from schemas.labels import pair_text
from schemas.refused import LABEL, NAMED, REFUSED_FILE, USER, refused_by, write_refused
from tests.contract.ledgers import P0, batch, begin

NAN = "taste has a number that is not finite"
SHORT = "taste has 7 numbers, not 8"


def ran(
    ledger: Ledger,
    fence: int,
    outcome: Outcome,
    refused: dict[str, str],
    *,
    now: float,
    kind: CycleKind = CycleKind.INCREMENTAL,
    labels: dict[str, str] | None = None,
    version: int | None = None,
) -> CycleResult:
    """A cycle over all that is pending, which refuses some of it; one from scratch reads everybody."""
    whole = kind.from_scratch
    claim = ledger.cycles.claim(kind, "the test says so", now, fence=fence)
    told: dict[str, Any] = {
        "read": ReadReport(accepted=5, deleted=0, refused=refused, refused_total=len(refused), whole=whole),
        "labels": LabelReport(
            accepted=5, deleted=0, refused=labels or {}, refused_total=len(labels or {}), whole=whole
        ),
    }
    base = ledger.views.history().champion
    result = CycleResult(
        cycle_id=claim.cycle_id, outcome=outcome, reason="so", base_version=base, version=version, **told
    )
    ledger.cycles.settle(result, now + 1, fence=fence)
    return result


def bootstrapped(ledger: Ledger, fence: int, refused: dict[str, str]) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b", ("a", "b"), ("b", "a")]))
    ran(ledger, fence, Outcome.REGISTERED, refused, now=200.0, kind=CycleKind.BOOTSTRAP, version=1)


def names(ledger: Ledger) -> dict[str, tuple[str, int]]:
    return {one.key: (one.reason, one.times) for one in ledger.refusals.find(USER)}


def test_a_refused_user_is_settled_and_stays_on_record(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence, {"b": NAN, "nobody told of": SHORT})
    assert ledger.views.backlog().empty
    assert names(ledger) == {"b": (NAN, 1), "nobody told of": (SHORT, 1)}
    (last, first) = ledger.refusals.find(USER, 1), ledger.refusals.find(USER)
    assert (len(last), last[0]) == (1, first[0])
    assert (first[0].since, first[0].last_at) == (201.0, 201.0)
    assert first[0].cycle_id == ledger.views.cycles()[0]["cycle_id"]


def test_one_whose_row_changed_is_learned_or_refused_once_more_and_others_stay(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence, {"a": NAN, "b": NAN, "c": NAN})
    ledger.intake.record(batch(P0, 4, ["a", "b", "d"]))
    ran(ledger, fence, Outcome.UNCHANGED, {"b": SHORT}, now=300.0)
    assert names(ledger) == {"b": (SHORT, 2), "c": (NAN, 1)}
    (b,) = (one for one in ledger.refusals.find(USER) if one.key == "b")
    assert (b.since, b.last_at) == (201.0, 301.0)


def test_a_cycle_that_settles_nothing_takes_nobody_off_the_record_and_adds_whom_it_refused(
    ledger: Ledger, fence: int
) -> None:
    bootstrapped(ledger, fence, {"a": NAN})
    ledger.intake.record(batch(P0, 4, ["a", "d"]))
    for at, outcome in enumerate((Outcome.REJECTED, Outcome.HELD)):
        ran(ledger, fence, outcome, {"d": SHORT}, now=300.0 + 10 * at)
    assert ledger.views.backlog().users == 2
    assert names(ledger) == {"a": (NAN, 1), "d": (SHORT, 2)}


def test_whoever_reads_everybody_reads_the_refused_again(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence, {"a": NAN, "b": NAN})
    ran(ledger, fence, Outcome.REGISTERED, {"b": NAN}, now=300.0, kind=CycleKind.FULL, version=2)
    assert names(ledger) == {"b": (NAN, 2)}
    ran(ledger, fence, Outcome.REJECTED, {}, now=400.0, kind=CycleKind.FULL)
    assert names(ledger) == {"b": (NAN, 2)}
    ran(ledger, fence, Outcome.REGISTERED, {}, now=500.0, kind=CycleKind.FULL, version=3)
    assert names(ledger) == {}


def test_labels_are_kept_in_the_same_way(ledger: Ledger, fence: int) -> None:
    bootstrapped(ledger, fence, {})
    pair, other = pair_text(("a", "b")), pair_text(("b", "a"))
    ledger.intake.record(batch(P0, 4, [("a", "b"), ("b", "a")]))
    ran(ledger, fence, Outcome.UNCHANGED, {}, now=300.0, labels={pair: "label is 2", other: "label is null"})
    assert ledger.refusals.counts() == {USER: 0, LABEL: 2}
    ledger.intake.record(batch(P0, 6, [("a", "b")]))
    ran(ledger, fence, Outcome.UNCHANGED, {}, now=400.0)
    assert [one.key for one in ledger.refusals.find(LABEL)] == [other]


def test_a_cycle_that_is_settled_twice_counts_once(ledger: Ledger, fence: int) -> None:
    """Its commit was done, and the answer to it lost."""
    begin(ledger)
    result = ran(ledger, fence, Outcome.REGISTERED, {"a": NAN}, now=200.0, kind=CycleKind.BOOTSTRAP, version=1)
    assert ledger.cycles.settle(result, 202.0, fence=fence)
    assert names(ledger) == {"a": (NAN, 1)}


def test_all_are_kept_of_more_than_a_result_names(ledger: Ledger, fence: int, tmp_path: Path) -> None:
    begin(ledger)
    everybody = {f"u{number:05}": NAN for number in range(12_000)}
    named = dict(list(everybody.items())[:NAMED])
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 100.0, fence=fence)
    read = ReadReport(accepted=9, deleted=0, refused=named, refused_total=len(everybody), whole=True)
    result = CycleResult(
        cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="so", base_version=None, version=1, read=read
    )
    with (tmp_path / REFUSED_FILE).open("wb") as file:
        write_refused(file, everybody, {("a", "\ud800"): "label is 2"})
    ledger.cycles.settle(result, 101.0, fence=fence, refused=refused_by(result, tmp_path))
    assert ledger.refusals.counts() == {USER: 12_000, LABEL: 1}
    assert {one.key for one in ledger.refusals.find(USER)} == everybody.keys()


def test_where_only_the_first_are_known_nobody_is_taken_for_mended(ledger: Ledger, fence: int, tmp_path: Path) -> None:
    """The file lies on a machine that is gone."""
    everybody = {f"u{number:05}": NAN for number in range(NAMED + 1)}
    bootstrapped(ledger, fence, everybody)
    claim = ledger.cycles.claim(CycleKind.FULL, "again", 300.0, fence=fence)
    named = dict(list(everybody.items())[:NAMED])
    read = ReadReport(accepted=9, deleted=0, refused=named, refused_total=len(everybody), whole=True)
    result = CycleResult(
        cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="so", base_version=1, version=2, read=read
    )
    ledger.cycles.settle(result, 301.0, fence=fence, refused=refused_by(result, tmp_path))
    assert ledger.refusals.counts()[USER] == NAMED + 1
