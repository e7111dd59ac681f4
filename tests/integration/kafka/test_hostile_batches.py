"""Record batches that a broker takes and no decent client sends: reading goes on behind each of them."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from consumer.configuration.dead_letters import DeadLetterSettings
from consumer.dead_letters.store import Which
from consumer.ledger.ledger import Ledger
from consumer.listener.state import ListenerState
from schemas.events import encode
from tests.integration.listening import (
    GROUP_13,
    everything_is_read,
    has_caught_up,
    listening,
    read,
    settings_for,
    stands_at,
)
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.wire import GZIP, LZ4, SNAPPY, ZSTD, batch, bomb, produce, records
from tests.worlds import names


@pytest.mark.full
def test_a_batch_that_unpacks_to_more_than_is_read_is_one_letter_whatever_its_codec(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=1, retention_ms="-1", max_message_bytes=str(8 * 2**20))
    for codec in (GZIP, SNAPPY, LZ4, ZSTD):
        topic.send_users([f"before-{codec}"])
        assert produce(kafka_address, topic.name, bomb(codec, 70)) == (0, 3 * codec - 2)
        topic.send_users([f"behind-{codec}"])
    before = psutil.Process().memory_info().rss
    with listening(settings_for(topic, tmp_path), ledger.intake) as listener:
        everything_is_read(ledger, 12)
        has_caught_up(listener, 1)
        grew = psutil.Process().memory_info().rss - before
    assert ledger.views.backlog().users == 8
    letters = ledger.letters.find(Which(), 10)
    assert [letter.stage for letter in letters] == ["size"] * 4
    assert sorted(letter.position.offset for letter in letters) == [1, 4, 7, 10]
    assert all("67,108,864 bytes" in letter.reason for letter in letters)
    assert stands_at(ledger, topic) == topic.ends()
    assert grew < 250 * 2**20


def test_a_batch_of_poison_costs_no_more_than_a_good_one(kafka_address: str, tmp_path: Path, ledger: Ledger) -> None:
    """Each of them had cost a quarter of a second, and its change."""
    topic = Topic.new(kafka_address, partitions=1, retention_ms="-1")
    events = [encode(GROUP_13, user) for user in names(2000)]
    assert produce(kafka_address, topic.name, batch(records(*events, headers=[(b"\xff\xfe", b"x")])))[0] == 0
    topic.send_users(["behind"])
    with listening(settings_for(topic, tmp_path), ledger.intake) as listener:
        wait_until(lambda: read(ledger) > 0, 40, "the first event")
        began = time.monotonic()
        everything_is_read(ledger, 2001)
        has_caught_up(listener, 1)
    assert time.monotonic() - began < 20
    assert (ledger.views.backlog().users, ledger.views.read().dead_letters) == (2001, 0)


@pytest.mark.full
def test_the_limit_of_dead_letters_holds_back_what_cannot_be_read(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=1, retention_ms="-1")
    for _ in range(5):
        assert produce(kafka_address, topic.name, bomb(ZSTD, 70))[0] == 0
    limited = DeadLetterSettings(limit=2, check_every=0.2)
    settings = settings_for(topic, tmp_path, max_poll_records=1).model_copy(update={"dead_letters": limited})
    with listening(settings, ledger.intake) as listener:
        wait_until(lambda: listener.status.state == ListenerState.TOO_MANY_DEAD_LETTERS, 40, "it to hold up reading")
        assert ledger.views.read().dead_letters == 2
        for _ in range(2):
            for number in ledger.letters.ids(Which()):
                ledger.letters.discard([number], "seen", time.time())
            wait_until(lambda: ledger.letters.ids(Which()), 40, "the next ones")
        has_caught_up(listener, 1)
    assert read(ledger) == 5
