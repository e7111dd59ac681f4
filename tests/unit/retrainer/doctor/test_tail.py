"""What the doctor says of the newest records: whose they are, by the names and numbers that they bear."""

from __future__ import annotations

import time

import pytest

from consumer.decoding import decoder
from retrainer.doctor.checks import Finding, Severity
from retrainer.doctor.tail import judged, looked_at
from schemas.events import encode
from schemas.features import FeatureGroup
from schemas.hopsworks import Source
from tests.hostile import HOSTILE
from tests.unit.consumer.test_decoding import Fetched

OURS = FeatureGroup(id=13, feature_store_id=67, name="listeners", version=1)
NOW = int(time.time() * 1000)


def found(records: list[Fetched], group: FeatureGroup = OURS, source: Source = "notification") -> Finding:
    return judged("t can be read", looked_at(records, decoder(source, group)), group, "t", source)


def of(group: FeatureGroup, count: int, timestamp: int = NOW) -> list[Fetched]:
    return [Fetched(number, encode(group, f"u{number}"), timestamp=timestamp) for number in range(count)]


def test_a_wrong_number_of_the_group_is_named_beside_the_one_that_comes() -> None:
    other = OURS.model_copy(update={"id": 14})
    told = found(of(other, 1000))
    assert told.severity is Severity.WARNING
    assert told.found == (
        "t can be read, but none of the last 1,000 events is of ours, feature group 13 of store 67 (listeners, version "
        "1); they are 1,000 of feature group 14 of store 67 (listeners, version 1)"
    )
    assert "__ID" in str(told.todo)
    assert found([*of(other, 999), *of(OURS, 1)]).severity is Severity.OK


def test_other_stores_names_versions_and_ingestion_are_named() -> None:
    for change, said in (
        ({"feature_store_id": 9}, "feature group 13 of store 9"),
        ({"name": "songs", "id": None}, "feature group of store 67 (songs, version 1)"),
        ({"version": 2, "id": None}, "feature group of store 67 (listeners, version 2)"),
    ):
        assert said in found(of(OURS.model_copy(update=change), 5)).found
    rows = [Fetched(0, b"row", key=b"u1", timestamp=NOW, headers=[("featureGroupId", b"14")])]
    assert "they are 1 of feature group 14" in found(rows, source="ingestion").found


def test_what_cannot_be_understood_and_times_in_seconds_are_told_together() -> None:
    bad = [Fetched(number, b"{", timestamp=NOW) for number in range(3)]
    told = found(bad)
    assert "3 of the last 3 are no events as the source 'notification' has them" in told.found
    assert "RETRAINER_KAFKA__SOURCE" in str(told.todo)
    assert found([*bad, *of(OURS, 1)]).severity is Severity.OK  # it was mended
    slow = found([*of(OURS, 4, NOW // 1000), *of(OURS, 1)])
    assert "the times of 4 of the last 5 are in seconds, not in milliseconds" in slow.found
    assert "LogAppendTime" in str(slow.todo)
    both = found([Fetched(0, b"{", timestamp=NOW // 1000)])
    assert "that is no event" in both.found
    assert "in seconds" in both.found


@pytest.mark.parametrize("text", HOSTILE.values())
def test_hostile_records_are_looked_at_too(text: str) -> None:
    value = text.encode(errors="surrogatepass")
    headers: list[tuple[str, bytes | None]] = [("featureGroupId", value)]
    records = [Fetched(0, value, key=value, timestamp=-(2**40), headers=headers)]
    for source in ("notification", "ingestion"):
        assert found(records, source=source).severity is Severity.WARNING
