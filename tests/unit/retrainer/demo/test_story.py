"""The demo's account, folded from the service's log and narrated in plain words."""

from typing import Any

import pytest

from retrainer.demo.narration import Said, of_commit, of_record
from retrainer.demo.story import Story
from retrainer.demo.waves import Committed
from schemas.cycle import Step
from schemas.log_events.cycles import CYCLE_ENDED, CYCLE_STARTED, CYCLE_STEP
from schemas.log_events.service import CHANGES

Record = dict[str, Any]


def record(event: str, **fields: object) -> Record:
    return {"event": event, "level": "info", "timestamp": "2026-11-24T03:00:00Z", **fields}


def step(
    cycle: str, name: str, state: str, *, done: int | None = None, total: int | None = None, **facts: object
) -> Record:
    return record(CYCLE_STEP, cycle_id=cycle, step=name, state=state, done=done, total=total, facts=facts)


def started(cycle: str, kind: str = "incremental", users: int = 240, base: int | None = 1) -> Record:
    return record(
        CYCLE_STARTED, cycle_id=cycle, kind=kind, reason="enough users changed", users=users, base_version=base
    )


def ended(
    cycle: str, kind: str = "incremental", outcome: str = "registered", version: int | None = 2, **more: object
) -> Record:
    found = {
        "reason": "no worse than the champion",
        "base_version": 1,
        "pairs_before": 26547,
        "pairs_after": 24000,
        "changed_users": 240,
        "accuracy": 0.957,
        "champion_accuracy": 0.951,
        "recall_at_10": 0.61,
        "seconds": 8.2,
        **more,
    }
    return record(CYCLE_ENDED, cycle_id=cycle, kind=kind, outcome=outcome, version=version, **found)


def fitting(cycle: str, epochs: int) -> list[Record]:
    return [
        step(
            cycle,
            "fit",
            "running",
            done=at,
            total=epochs,
            loss=1 / at,
            train_accuracy=1 - 0.5 / at,
            dev_accuracy=0.97 - 0.5 / at,
        )
        for at in range(1, epochs + 1)
    ]


def cycle(
    name: str, epochs: int = 8, outcome: str = "registered", version: int | None = 2, best: int = 7
) -> list[Record]:
    """A whole incremental cycle."""
    return [
        started(name),
        step(name, "read", "done", accepted=240, deleted=0, refused=0),
        step(name, "embed", "done", users=2400),
        step(name, "pair", "done", users=2400, before=26547, after=24000, added=453, removed=3000, rows_mined=240),
        step(name, "base", "done", version=1),
        step(name, "probe", "done", summary="the champion has lost nothing"),
        *fitting(name, epochs),
        step(name, "fit", "done", epochs=epochs, best_epoch=best),
        step(
            name,
            "gate",
            "done",
            outcome="passed",
            challenger_accuracy=0.957,
            champion_accuracy=0.951,
            lower_bound=-0.002,
        ),
        step(name, "package", "done", files=5, bytes=3_100_000),
        step(name, "register", "done", version=version or 0),
        ended(name, outcome=outcome, version=version),
    ]


def committed(wave: int, changed: int = 0, new: int = 0, deleted: int = 0) -> Committed:
    return Committed(wave, f"{changed} tastes drift", changed, new, deleted, users=2400, events=changed + new + deleted)


def bootstrapped() -> Story:
    story = Story()
    story.committed(committed(0, new=2400))
    for line in (
        record(CHANGES, events=2400, ignored=0, dead=0, pending=2400, lag=0),
        started("b", "bootstrap", users=2400, base=None),
        ended("b", "bootstrap", version=1),
    ):
        story.feed(line)
    return story


def test_it_knows_what_was_read_what_waits_and_what_runs() -> None:
    story = bootstrapped()
    assert (story.events, story.pending, story.cycle) == (2400, 0, None)
    story.feed(record(CHANGES, events=2640, ignored=1, dead=2, pending=240, lag=0))
    assert (story.events, story.pending, story.dead) == (2640, 240, 2)
    for line in cycle("i", epochs=8)[:-4]:
        story.feed(line)
    running = story.cycle
    assert running is not None
    assert story.pending == 0  # claimed
    assert (running.kind, running.base_version, running.users) == ("incremental", 1, 240)
    assert running.train[-1] == pytest.approx(1 - 0.5 / 8)
    assert running.dev == pytest.approx([0.97 - 0.5 / at for at in range(1, 9)])
    assert [step for step, view in running.steps.items() if view.state == "done"] == list(Step)[:6]


def test_progress_grows_with_every_line_and_ends_at_all() -> None:
    story = bootstrapped()
    seen = []
    for line in cycle("i"):
        story.feed(line)
        seen.append(story.cycles[-1].share_done)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert len(set(seen)) > 12  # epochs count, not only steps


def test_a_cycle_that_is_tried_again_begins_anew() -> None:
    story = bootstrapped()
    for line in cycle("i")[:-4]:
        story.feed(line)
    story.feed(step("i", "read", "started"))
    running = story.cycle
    assert running is not None
    assert running.share_done == 0
    assert running.train == []


def test_a_wave_is_settled_when_all_its_users_have_been_through_a_cycle() -> None:
    story = bootstrapped()
    assert story.settled
    story.committed(committed(1, changed=200, deleted=40))
    assert not story.settled
    story.feed(started("i1", users=100))
    story.feed(ended("i1", changed_users=100))
    assert not story.settled  # the cycle started before all events had come
    story.feed(started("i2", users=140))
    assert not story.settled
    story.feed(ended("i2", outcome="rejected", version=None, changed_users=140))
    assert story.settled
    assert story.succeeded
    assert story.pending == 140  # given back


def test_a_cycle_that_began_before_the_wave_does_not_settle_it() -> None:
    story = bootstrapped()
    story.feed(started("early", users=300))
    story.committed(committed(1, changed=200))
    story.feed(ended("early", changed_users=300))
    assert not story.settled


def test_it_is_no_success_without_a_first_version_or_with_a_wave_untold_or_failed() -> None:
    assert not Story().succeeded
    refused = Story()
    refused.committed(committed(0, new=2400))
    refused.feed(started("b", "bootstrap", base=None))
    refused.feed(ended("b", "bootstrap", outcome="rejected", version=None))
    assert refused.stuck
    assert not refused.succeeded
    story = bootstrapped()
    assert story.succeeded
    story.committed(committed(1, changed=200))
    assert not story.succeeded
    story.feed(started("i"))
    story.feed(ended("i", outcome="failed", version=None))
    assert story.stuck
    assert not story.succeeded


def test_lines_it_does_not_know_and_fields_that_are_missing_do_no_harm() -> None:
    story = bootstrapped()
    for line in (
        record("something new", x=1),
        {"event": None},
        {},
        record(CYCLE_STEP, cycle_id="b", step="juggle", state="done"),
        record(CYCLE_STEP, cycle_id="nobody", step="fit", state="running"),
        record(CHANGES),
        record(CYCLE_ENDED, cycle_id="nobody"),
    ):
        story.feed(line)
        of_record(story, line)
    assert story.bootstrapped


def told(story: Story, lines: list[Record]) -> list[Said]:
    said = []
    for line in lines:
        story.feed(line)
        said += of_record(story, line)
    return said


def test_a_cycle_is_told_in_words() -> None:
    text = "\n".join(f"{line.subject}: {line.text}" for line in told(bootstrapped(), cycle("i")))
    assert "cycle: incremental, because enough users changed: 240 users, on top of version 1" in text
    assert "read: 240 users read from the feature store\n" in text
    assert "pair: 26,547 -> 24,000 similar pairs (453 added, 3,000 removed)" in text
    assert "fit: epoch 4 of 8: training accuracy 0.875, validation 0.845" in text
    assert "epoch 8 of 8" not in text  # the next line says it
    assert "fit: 8 epochs: training accuracy 0.938, validation 0.907; epoch 7 kept\n" in text
    untouched = "\n".join(line.text for line in told(bootstrapped(), cycle("i", best=0)))
    assert "validation 0.907; none beats the start, which is kept\n" in untouched
    assert "gate: passed: challenger 0.9570, champion 0.9510 on the same held-out users (at worst -0.0020)" in text
    assert "package: 5 files, 3.1 MB" in text
    assert text.endswith("cycle: version 2 registered after 8.2 s, with accuracy 0.9570")


def test_a_refusal_is_told_with_its_reason_and_trouble_is_not_hidden() -> None:
    story = bootstrapped()
    told(story, [started("i")])
    refusal = ended("i", outcome="rejected", version=None, reason="0.020 below the champion")
    (line,) = told(story, [refusal])
    assert line == Said("cycle", "rejected after 8.2 s, no new version: 0.020 below the champion", "bad")
    (line,) = told(story, [{**record("ledger is locked", attempt=3), "level": "warning"}])
    assert line == Said("service", "ledger is locked, attempt 3", "bad")


def test_users_whom_a_champion_answers_for_are_not_pending_and_those_of_held_data_are() -> None:
    story = bootstrapped()
    told(story, [started("i")])
    figures: Record = {"champion_accuracy": 0.9967, "champion_precision": 0.9964, "champion_recall": 0.9972}
    (line,) = told(story, [ended("i", outcome="unchanged", version=None, accuracy=None, **figures)])
    assert line == Said(
        "cycle",
        "unchanged after 8.2 s, nothing to learn: version 1 answers for them, today with accuracy 0.9967, "
        "precision 0.9964, recall 0.9972",
        "good",
    )
    assert (story.pending, story.succeeded) == (0, True)
    told(story, [started("j")])
    held = ended("j", outcome="held", version=None, reason="50 % were refused", way_out="look at the rows")
    line, why, todo, full = told(story, [{**held, "level": "error", "asks_full": "the space has drifted"}])
    assert line == Said(
        "cycle", "held after 8.2 s: such data are not believed, so nothing is learned from them", "held"
    )
    assert why == Said("why", "50 % were refused", "held")
    assert todo == Said("to do", "look at the rows", "held")
    assert full == Said("cycle", "asks for a full retrain: the space has drifted")
    assert (story.pending, story.succeeded, story.stuck) == (240, True, False)


def test_a_commit_is_told_with_who_changed() -> None:
    head, line = of_commit(committed(3, changed=1, new=20, deleted=5))
    assert (head.subject, head.tone) == ("wave 3", "head")
    assert line.text == "1 user changed, 20 new users, 5 users deleted in the feature store, 26 events published"


def followed(wave: int, follows: int = 0, unfollows: int = 0, changed: int = 0) -> Committed:
    events = follows + unfollows + changed
    return Committed(wave, "follows", changed, 0, 0, users=2400, events=events, follows=follows, unfollows=unfollows)


def test_a_wave_of_labels_is_settled_when_they_have_been_through_a_cycle_too() -> None:
    story = bootstrapped()
    story.committed(followed(1, follows=400, unfollows=50, changed=10))
    story.feed(record(CHANGES, events=2860, pending=10, pending_labels=450))
    assert (story.pending, story.pending_labels) == (10, 450)
    story.feed({**started("i", users=10), "labels": 300})
    assert (story.pending, story.pending_labels) == (0, 150)
    story.feed(ended("i", changed_users=10, changed_labels=300))
    assert not story.settled
    story.feed({**started("j", users=0), "labels": 150})
    story.feed(ended("j", outcome="rejected", version=None, changed_users=0, changed_labels=150))
    assert story.settled
    assert story.pending_labels == 150  # given back


def test_a_full_retrain_that_a_cycle_asks_for_is_waited_for_once() -> None:
    story = bootstrapped()
    story.committed(followed(1, follows=400))
    story.feed({**started("i"), "labels": 400})
    story.feed(ended("i", changed_labels=400, asks_full="a fresh start is better"))
    assert not story.settled
    story.feed(started("f", kind="full", users=0))
    assert not story.settled
    story.feed(ended("f", kind="full", version=3))
    assert story.settled
    story.committed(followed(2, follows=400))
    story.feed({**started("j"), "labels": 400})
    story.feed(ended("j", changed_labels=400, asks_full="a fresh start is better"))
    assert story.settled  # the trigger starts none so soon after the last


def test_labels_and_what_the_champion_said_of_them_are_told() -> None:
    story = bootstrapped()
    head, line = of_commit(followed(1, follows=1000, unfollows=1))
    assert head.subject == "wave 1"
    assert line.text == "1,000 new follows, 1 follow deleted in the feature store, 1,001 events published"
    probe: Record = {"version": 1, "users": 0, "labels": 1001, "auc": 0.7421, "own_auc": 0.781, "recall_at_50": 0.12}
    figures: Record = {"outcome_auc": 0.8123, "recall_at_50": 0.25, "champion_outcome_auc": 0.7512}
    pending, start, before, end = told(
        story,
        [
            record(CHANGES, events=3401, pending=0, pending_labels=1001),
            {**started("i", users=0), "labels": 1001},
            step("i", "probe", "done", **probe),
            ended("i", **figures),
        ],
    )
    assert pending.text == "3,401 events read; 0 users and 1,001 labels pending"
    assert start.text.endswith("1,001 labels, on top of version 1")
    assert before.text == (
        "before anything is learned: version 1, asked about 1,001 new labels, has AUC 0.742 (in its own exam 0.781), "
        "recall@50 0.120"
    )
    assert end.text == "version 2 registered after 8.2 s, with AUC 0.8123, recall@50 0.2500"
    assert story.cycles[-1].probe["auc"] == 0.7421
