"""What holds after a death at a bad moment and a wave, in either place; each test is a promise of the design."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from schemas.cycle import CycleKind
from schemas.labels import PairKey
from schemas.log_events.cycles import CYCLE_ENDED, CYCLE_RESUMED
from schemas.log_events.listener import PARTITIONS_GONE, POLL_FAILED, RECONNECTING
from schemas.manifest import ModelManifest
from schemas.policies import PairPolicy
from stores.labels.reading import read_all
from stores.vectors.together import VectorsApart, check_together, origin_of, same_towers
from tests.databases.postgresql import PostgreSQL
from tests.models.test_cycle import BARE, BLOCK_OURS
from tests.promises.stories import PLACES, UNSOUND, Story, figures, told
from trainer.labels.book import LabelBook
from trainer.matrix.split import Part, split
from trainer.space import Space


@pytest.fixture(scope="module", params=PLACES)
def story(
    request: pytest.FixtureRequest,
    kafka_address: str,
    postgresql: PostgreSQL,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp(request.param)
    with told(request.param, folder, kafka_address, postgresql.new_schema()) as story:
        yield story


def manifests(story: Story) -> list[ModelManifest]:
    return [version.manifest for version in story.place.registry.versions()]


def test_p1_every_event_is_covered_by_one_version_and_nobody_is_left_waiting(story: Story) -> None:
    assert story.ledger.views.backlog().empty
    assert story.ledger.views.read().dead_letters == 0
    for topic in story.place.topics:
        ends = {number: end for number, end in topic.ends().items() if end}
        ranges = [found.lineage.offsets[topic.name] for found in manifests(story)]
        for number, end in ends.items():
            spans = [each[number] for each in ranges if number in each]
            assert [0, *(upto for _, upto in spans)] == [*(since for since, _ in spans), end], figures(story)
    lineages = [found.lineage for found in manifests(story)]
    assert [lineage.changed_users for lineage in lineages] == [len(story.users), len(story.wave)]
    assert [lineage.changed_labels for lineage in lineages] == [len(story.labels), len(story.label_wave)]


def test_p2_a_cycle_that_died_before_anybody_knew_of_its_version_has_that_one(story: Story) -> None:
    recorded = {version["version"]: version["cycle_id"] for version in story.ledger.views.versions()}
    registered = {found.version: found.manifest.cycle_id for found in story.place.registry.versions()}
    assert recorded == registered
    assert list(recorded) == [1, 2]
    assert len(set(recorded.values())) == 2
    resumed = [line["cycle_id"] for line in story.place.service.log() if line["event"] == CYCLE_RESUMED]
    assert resumed == [recorded[1]]


def test_p3_rows_and_pairs_are_those_of_a_fresh_start(story: Story, tmp_path: Path) -> None:
    last = manifests(story)[-1]
    shutil.copytree(story.place.service.state_dir / "trainer" / "spaces" / last.space.space_id, tmp_path / "space")
    kept = Space.open(tmp_path / "space", last.space, last.feature_group)
    assert kept is not None
    users, rows = kept.matrix.users()
    stored = story.place.stored()
    assert set(users) == story.sound == stored.keys() - {UNSOUND}
    np.testing.assert_array_equal(kept.matrix.raw[rows], [stored[user] for user in users])
    (tmp_path / "space" / "pairs.bin").unlink()
    anew = Space.open(tmp_path / "space", last.space, last.feature_group)
    assert anew is not None
    anew.update_pairs(PairPolicy(max_positives_per_user=15), lambda _done, _of: None)
    assert len(anew.graph.codes()) > 100
    assert kept.graph.codes().tolist() == anew.graph.codes().tolist()


def test_p3_labels_are_those_of_a_full_read(story: Story) -> None:
    place, space = story.place, manifests(story)[-1].space.space_id
    with closing(LabelBook(place.service.state_dir / "trainer" / "spaces" / space)) as book:
        kept = book.labels()
    found = read_all(place.labels, place.label_group, (), lambda _read: None)
    said = zip(found.positive.tolist(), found.weight.tolist(), found.at.tolist(), strict=True)
    assert kept == dict(zip(found.pairs, said, strict=True))
    assert kept.keys() == {*story.labels, *story.followed} - {*story.unfollowed}
    assert {pair for pair, (positive, _, _) in kept.items() if not positive} == {*story.dismissed}


def test_p4_a_follower_is_measured_beside_the_version_before_it(story: Story) -> None:
    first, second = (found.gate_report for found in manifests(story))
    assert (first.champion, first.outcome) == (None, "passed")
    assert (manifests(story)[1].base_version, second.outcome) == (1, "passed")
    assert second.challenger is not None
    assert second.champion is not None
    assert 0 < second.users <= _held_out(story)


def test_p5_held_out_users_are_not_among_those_that_it_learned(story: Story) -> None:
    """It learned of everybody who may be trained on and has a label with another such user."""
    first = manifests(story)[0]
    assert first.fit_report.users == len({end for pair in _train_labels(story) for end in pair})
    assert _held_out(story) > 0


def test_p5_a_label_is_held_out_when_either_end_is(story: Story) -> None:
    first, part = manifests(story)[0], _parts(story)
    held_out = [pair for pair in _once(story.labels) if Part.HOLDOUT in {part[end] for end in pair}]
    assert first.label_report is not None
    assert first.label_report.held_out == len(held_out) > 0
    assert first.fit_report.labels == len(_train_labels(story)) > 0


def _train_labels(story: Story) -> set[PairKey]:
    part = _parts(story)
    return {pair for pair in _once(story.labels) if {part[end] for end in pair} == {Part.TRAIN}}


def _once(pairs: Iterable[PairKey]) -> set[PairKey]:
    """Each two users once, whoever labelled whom."""
    return {(min(pair), max(pair)) for pair in pairs}


def _parts(story: Story) -> dict[str, int]:
    """Of the users of the first version."""
    return dict(zip(story.users, split(manifests(story)[0].split, story.users).tolist(), strict=True))


def _held_out(story: Story) -> int:
    return int((split(manifests(story)[0].split, sorted(story.sound)) == Part.HOLDOUT).sum())


def test_p6_while_a_trainer_stands_still_the_listener_reads_on_and_stays_in_its_group(story: Story) -> None:
    """That the wave was stored meanwhile, the story itself has waited for."""
    trouble = {RECONNECTING, POLL_FAILED, PARTITIONS_GONE}
    assert [line for line in story.said_meanwhile if line["event"] in trouble] == []


def test_p7_what_was_registered_loads_in_a_bare_python_and_scores_raw_rows(story: Story, tmp_path: Path) -> None:
    folder = story.place.registry.fetch(2)
    ran = subprocess.run(
        [sys.executable, "-I", "-c", BLOCK_OURS + BARE, str(folder), str(story.place.group.width)],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.strip() == "scored", ran.stderr[-2000:]


def test_p8_why_and_what_is_on_record_in_ledger_registry_and_log(story: Story) -> None:
    told = {found.cycle_id: (found.kind, found.reason, found.gate_report.reason) for found in manifests(story)}
    assert [kind for kind, _, _ in told.values()] == [CycleKind.BOOTSTRAP, CycleKind.INCREMENTAL]
    for cycle in story.ledger.views.cycles():
        kind, reason, judged = told[cycle["cycle_id"]]
        assert (cycle["kind"], cycle["reason"]) == (kind, reason)
        assert cycle["reason"]
        assert judged
    ended = {line["cycle_id"]: line["outcome"] for line in story.place.service.log() if line["event"] == CYCLE_ENDED}
    assert ended == dict.fromkeys(told, "registered")


def test_p9_a_row_that_cannot_be_believed_is_refused_with_its_reason_and_not_learned(story: Story) -> None:
    report = manifests(story)[-1].read_report
    assert list(report.refused) == [UNSOUND]
    assert report.refused[UNSOUND]
    assert (report.accepted, report.deleted) == (len(story.changed) - 1 + len(story.came), len(story.went))


def test_p10_queries_meet_their_own_candidates_and_no_others_unnoticed(story: Story) -> None:
    first, second = (origin_of(number, manifest) for number, manifest in enumerate(manifests(story), start=1))
    assert check_together(first, first).same
    assert check_together(second, second).same
    for query, candidates in ((first, second), (second, first)):
        if same_towers(query, candidates):
            assert check_together(query, candidates).same
        elif query.index_compatible_with == candidates.version:
            assert check_together(query, candidates).kept is not None
        else:
            with pytest.raises(VectorsApart):
                check_together(query, candidates)
