"""A key is a user's id and nothing around it: never a delete of somebody whose name looks like what was meant."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.changes.change import LabelChange
from consumer.decoding import decoders
from consumer.settings import Settings
from schemas.events import Change, Ignored, Operation, decode
from schemas.features import FeatureGroup
from schemas.ingestion import decode_ingestion
from schemas.keys import BadEvent
from schemas.labels import LabelGroup, pair_text

GROUP = FeatureGroup(id=13)
LABELS = LabelGroup(id=15)
OF_OURS = {"featureGroupId": b"13"}


def avro(user: str) -> bytes:
    """A row that begins with this id, of fewer than 64 bytes."""
    return bytes([2, 2 * len(user.encode())]) + user.encode() + b"\x02\x04xy"


def deleted(key: bytes | None) -> tuple[Change | Ignored, ...]:
    return decode(GROUP, key, None, {}), decode_ingestion(GROUP, key, None, OF_OURS)


@pytest.mark.parametrize(
    "key",
    ['"u1"', '""', ' "u1"\n', '"\\u0075"', '{"user_id": "u1"}', "{}", '["u1"]', "[]", "null", "true", " false ",
     '{"schema": null, "payload": "u1"}', '["u1", "u2"]', '"' + "x" * 900 + '"',
     '"\\ud800"', '"a\\x"', '\ufeff"u1"', '\ufeff{"user_id": "u1"}\r\n'],
)  # fmt: skip
def test_a_key_in_json_names_nobody(key: str) -> None:
    for read in (decode, decode_ingestion):
        with pytest.raises(BadEvent, match="the key is JSON and no id of a user: have the producer send the id"):
            read(GROUP, key.encode(), None, OF_OURS)
    with pytest.raises(BadEvent, match="the key is JSON"):
        decode_ingestion(GROUP, key.encode(), avro("u1"), OF_OURS)


@pytest.mark.parametrize(
    "key",
    ["u1", "42", "-7", "007", "1.0", "1e3", " u1", "u1 ", " ", "None", "True", "nan", "nobody", '"u1', 'u"1"', "'u1'",
     "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "[u1]", "e\u0301", "\u00e9", "\ufeffu1", "1" * 400, "U1"],
)  # fmt: skip
def test_any_other_text_is_an_id_as_it_is(key: str) -> None:
    assert deleted(key.encode()) == (Change(key, Operation.DELETE),) * 2


@pytest.mark.parametrize(
    "key",
    [None, b"", b"\xff", b"\xed\xa0\xbd", "u1".encode("utf-16"), struct.pack(">q", 42), b'\0\0\0\0\7"u1"', b"x" * 1025],
)  # fmt: skip
def test_what_is_no_text_or_too_long_names_nobody(key: bytes | None) -> None:
    for read in (decode, decode_ingestion):
        with pytest.raises(BadEvent, match="key"):
            read(GROUP, key, None, OF_OURS)


@pytest.mark.parametrize("user", ['"u1"', "null", '["u1"]'])
def test_a_user_who_is_called_like_json_is_one_where_it_is_certain(user: str) -> None:
    assert decode_ingestion(GROUP, user.encode(), avro(user), OF_OURS) == Change(user, Operation.UPSERT)
    event = json.dumps({"featureGroupId": 13, "entry": {"user_id": user}}).encode()
    assert decode(GROUP, None, event, {"operation": b"delete"}) == Change(user, Operation.DELETE)


@given(st.text(min_size=1, max_size=40))
def test_no_key_is_taken_in_two_ways(user: str) -> None:
    """Of a text, and of the same text as a producer writes it who writes keys as JSON, one at most is a user."""
    for key in (json.dumps(user), json.dumps({"user_id": user}), json.dumps([user])):
        for read in (decode, decode_ingestion):
            with pytest.raises(BadEvent):
                read(GROUP, key.encode(), None, OF_OURS)


def test_the_pair_of_a_label_may_be_called_anything() -> None:
    for pair in (('"u1"', "u2"), ("null", "[]"), ("", "u2"), (" ", "\n"), ("e\u0301", "\u00e9")):
        if all(pair):
            assert decode(LABELS, pair_text(pair).encode(), None, {}) == Change(pair_text(pair), Operation.DELETE)
        else:
            with pytest.raises(BadEvent, match="0 characters"):
                decode(LABELS, pair_text(pair).encode(), None, {})
    key = b'u2"u1"'
    value = avro('"u1"')[:-4] + avro("u2")
    ours = {"featureGroupId": b"15"}
    assert decode_ingestion(LABELS, key, value, ours) == Change(pair_text(('"u1"', "u2")), Operation.UPSERT)


@pytest.mark.parametrize(
    "key", ['"u1"', '["u1"]', '[["u1", "u2"]]', '["u1", null]', '["u1", true]', '["u1", 1.5]', "u1,u2"]
)
def test_what_is_no_pair_is_no_label(key: str) -> None:
    with pytest.raises(BadEvent):
        decode(LABELS, key.encode(), None, {})


def test_on_a_shared_topic_a_list_is_a_label_or_a_dead_letter() -> None:
    settings = Settings(feature_group=GROUP, labels=LABELS)
    read = decoders(settings)[settings.kafka.topic]
    assert read(b'["u1", "u2"]', None, {}) == LabelChange(pair_text(("u1", "u2")), Operation.DELETE)
    assert read(b"u1", None, {}) == Change("u1", Operation.DELETE)
    for key in (b'["u1"]', b'"u1"', b"[]"):
        with pytest.raises(BadEvent):
            read(key, None, {})
