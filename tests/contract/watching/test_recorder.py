"""The recorder, on both engines: a sample a minute, of what the ledger and the service know then."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from consumer.freshness.now import freshness_now
from consumer.freshness.recorder import Recorder
from consumer.freshness.verdict import FreshnessState
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind, Outcome
from tests.contract.ledgers import P0, batch, begin, ended

NOON = 20_000 * 86_400.0


def test_a_sample_tells_what_was_pending_learned_and_read(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    recorder = Recorder(ledger)
    recorder.tick(NOON, lag=None, training=False)
    ledger.intake.record(batch(P0, 0, ["a", "b", ("a", "c")], now=NOON + 60.0))
    recorder.tick(NOON + 90.0, lag=7, training=False)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", NOON + 100.0, fence=fence)
    recorder.tick(NOON + 150.0, lag=0, training=True)
    ledger.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, 1), NOON + 160.0, fence=fence)
    recorder.tick(NOON + 190.0, lag=0, training=False)
    found = [
        (one.lag, one.pending_users, one.pending_labels, one.oldest_pending_s, one.champion, one.training, one.events)
        for one in ledger.samples.read(NOON, NOON + 3600.0)
    ]
    assert found == [
        (None, 0, 0, None, None, False, 0),
        (7, 2, 1, 30.0, None, False, 3),
        (0, 2, 1, 90.0, None, True, 3),
        (0, 0, 0, None, 1, False, 3),
    ]


def test_a_minute_is_noted_once_and_one_that_could_not_be_is_tried_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, tried = Recorder(ledger), []
    write = ledger.samples.write

    def failing(*arguments: object) -> bool:
        tried.append(arguments)
        if len(tried) == 1:
            raise OperationalError("INSERT", {}, OSError("the disk is full"))
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.samples, "write", failing)
    with pytest.raises(OperationalError):
        recorder.tick(NOON, lag=0, training=False)
    for seconds in (1.0, 2.0, 59.0, 60.0):
        recorder.tick(NOON + seconds, lag=0, training=False)
    assert [one.at for one in ledger.samples.read(NOON, NOON + 3600.0)] == [NOON + 1.0, NOON + 60.0]
    assert len(tried) == 3


def test_the_verdict_is_told_by_the_ledger_alone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=NOON))
    monkeypatch.setenv("RETRAINER_SLO__FRESHNESS", "30m")
    found = freshness_now(Settings(), ledger, NOON + 60.0)
    assert (found.state, found.oldest_age, found.target) == (FreshnessState.AT_RISK, 60.0, 1800.0)
    assert found.reason is not None
    assert "no service runs cycles" in found.reason
    assert freshness_now(Settings(), ledger, NOON + 1801.0).state is FreshnessState.BROKEN
    monkeypatch.delenv("RETRAINER_SLO__FRESHNESS")
    assert freshness_now(Settings(), ledger, NOON + 1801.0).state is FreshnessState.NONE
