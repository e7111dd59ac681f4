"""The ingestion topic says the same as the notification topic, by key and headers alone."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import MAX_KEY_LENGTH, BadEvent, Change, Ignored, Operation, decode, encode
from schemas.features import FeatureGroup
from schemas.ingestion import decode_ingestion

GROUP = FeatureGroup(id=13, feature_store_id=67)
AVRO = bytes.fromhex("02047531")
OURS = {"projectId": b"119", "featureGroupId": b"13", "subjectId": b"7", "onlineIngestionId": b"4"}


def said(key: bytes | None = b"u1", value: bytes | None = AVRO, **headers: bytes) -> Change | Ignored:
    return decode_ingestion(GROUP, key, value, {**OURS, **headers})


def test_a_row_is_a_change_of_the_user_in_the_key() -> None:
    assert said() == Change("u1", Operation.UPSERT)
    assert said(storage=b"online") == Change("u1", Operation.UPSERT)


def test_a_delete_is_marked_by_header_or_by_null() -> None:
    assert said(operation=b"delete") == Change("u1", Operation.DELETE)
    assert said(operation=b"DELETE") == Change("u1", Operation.DELETE)
    assert said(value=None) == Change("u1", Operation.DELETE)


def test_rows_of_other_groups_of_the_project_are_ignored() -> None:
    assert said(featureGroupId=b"131") == Ignored("another feature group")
    assert said(featureGroupId=b"") == Ignored("another feature group")
    assert said(storage=b"offline") == Ignored("a row for the offline store only")


def test_a_row_that_names_no_group_or_no_user_is_bad() -> None:
    with pytest.raises(BadEvent, match="featureGroupId"):
        decode_ingestion(GROUP, b"u1", AVRO, {})
    for key in (None, b"", b"\xff", b"u\0", "\U0001f600".encode() * 513, b"x" * (MAX_KEY_LENGTH + 1)):
        with pytest.raises(BadEvent, match="key"):
            said(key=key)


@given(st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text), st.booleans())
def test_both_topics_give_the_same_change(user: str, deleted: bool) -> None:
    headers = {"operation": b"delete"} if deleted else {}
    ingested = decode_ingestion(GROUP, user.encode(), AVRO, {**OURS, **headers})
    assert ingested == decode(GROUP, None, encode(GROUP, user), headers)


@given(st.none() | st.binary(max_size=50), st.none() | st.binary(max_size=50), st.binary(max_size=5))
def test_nothing_but_a_bad_event_is_raised(key: bytes | None, value: bytes | None, group: bytes) -> None:
    for headers in ({}, {"featureGroupId": group}, OURS):
        with suppress(BadEvent):
            decode_ingestion(GROUP, key, value, headers)
