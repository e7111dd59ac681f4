"""The ingestion topic says the same as the notification topic, by key and headers alone."""

from __future__ import annotations

import io
import re
from contextlib import suppress

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Change, Ignored, Operation, decode, encode
from schemas.features import FeatureGroup
from schemas.ingestion import decode_ingestion
from schemas.keys import MAX_KEY_LENGTH, BadEvent, _is_json
from schemas.labels import LabelGroup, pair_text

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


# A key that is JSON, such as `null`, is refused on the ingestion topic, where the key is all that names the user.
_IDS = st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text and not _is_json(text))


@given(_IDS, st.booleans())
def test_both_topics_give_the_same_change(user: str, deleted: bool) -> None:
    headers = {"operation": b"delete"} if deleted else {}
    ingested = decode_ingestion(GROUP, user.encode(), AVRO, {**OURS, **headers})
    assert ingested == decode(GROUP, None, encode(GROUP, user), headers)


@given(st.none() | st.binary(max_size=50), st.none() | st.binary(max_size=50), st.binary(max_size=5))
def test_nothing_but_a_bad_event_is_raised(key: bytes | None, value: bytes | None, group: bytes) -> None:
    for headers in ({}, {"featureGroupId": group}, OURS):
        with suppress(BadEvent):
            decode_ingestion(GROUP, key, value, headers)


# The SDK joins both ids of a label into one key, in the order of their columns' names.

LABELS = LabelGroup(id=15, feature_store_id=67)
COLUMNS = ["user_id", "other_user_id", "label", "labelled_at"]


def row(user: str | int, other: str | int, columns: list[str] = COLUMNS, label: str = "follow") -> bytes:
    kinds = {"user_id": type(user), "other_user_id": type(other), "label": str, "labelled_at": int}
    names = {str: "string", int: "long"}
    fields = [{"name": column, "type": ["null", names[kinds[column]]]} for column in columns]
    values = {"user_id": user, "other_user_id": other, "label": label, "labelled_at": 1_767_225_600_000}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "record", "name": "r", "fields": fields}, values)
    return out.getvalue()


def label(user: str | int, other: str | int, value: bytes | None, **headers: bytes) -> Change | Ignored:
    return decode_ingestion(LABELS, f"{other}{user}".encode(), value, {"featureGroupId": b"15", **headers})


ids = st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text) | st.integers(-(2**63), 2**63 - 1)


@given(ids, ids, st.booleans())
def test_a_row_of_labels_is_a_change_of_its_pair(user: str | int, other: str | int, deleted: bool) -> None:
    headers = {"operation": b"delete"} if deleted else {}
    wanted = Change(pair_text((str(user), str(other))), Operation.DELETE if deleted else Operation.UPSERT)
    for columns in (COLUMNS, ["other_user_id", "user_id", "labelled_at", "label"]):
        assert label(user, other, row(user, other, columns), **headers) == wanted


def test_ids_whose_texts_join_the_same_either_way_are_told_apart_by_their_order() -> None:
    for user, other in ((1, 11), (11, 1), ("a", "aa"), ("aa", "a"), ("a", "a")):
        assert label(user, other, row(user, other)) == Change(pair_text((str(user), str(other))), Operation.UPSERT)


def test_ids_are_found_behind_other_columns() -> None:
    value = row("u12", "u1", ["labelled_at", "label", "user_id", "other_user_id"])
    assert label("u12", "u1", value) == Change(pair_text(("u12", "u1")), Operation.UPSERT)


def test_rows_are_told_apart_by_the_group_s_id() -> None:
    assert decode_ingestion(GROUP, b"u2u1", row("u1", "u2"), {"featureGroupId": b"15"}) == Ignored(
        "another feature group"
    )
    assert decode_ingestion(LABELS, b"u1", AVRO, OURS) == Ignored("another feature group")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (None, row("u1", "u2"), "no key"),
        (b"", row("u1", "u2"), "no key"),
        (b"\xff", row("u1", "u2"), "not UTF-8"),
        (b"u2u1", None, "no row"),
        (b"u2u1", b"", "in none"),
        (b"u2u3", row("u1", "u2"), "in none"),
        (b"aaa", row("a", "b", label="aa") + row("aa", "a"), "in 2 ways"),
        (b"x" * 5000, row("u1", "u2"), "5000 bytes"),
        (b"x" * 2200, row("x" * 1100, "x" * 1100), "1100 characters"),
        (b"x" * 2048, row("x" * 1024, "x" * 1024), "2055 bytes together"),
        (b"a\0", row("\0", "a"), "NUL"),
    ],
)
def test_a_row_that_names_no_pair_is_bad(key: bytes | None, value: bytes | None, reason: str) -> None:
    with pytest.raises(BadEvent, match=re.escape(reason)):
        decode_ingestion(LABELS, key, value, {"featureGroupId": b"15"})


@given(st.none() | st.binary(max_size=50) | st.text().map(str.encode), st.none() | st.binary(max_size=50))
def test_nothing_but_a_bad_label_is_raised(key: bytes | None, value: bytes | None) -> None:
    with suppress(BadEvent):
        decode_ingestion(LABELS, key, value, {"featureGroupId": b"15"})
