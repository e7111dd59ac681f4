"""Every record is a change, none of ours, or bad with a reason; nothing else can come out of decoding."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas import events
from schemas.events import (
    MAX_NESTING,
    Change,
    Group,
    Ignored,
    NotificationEvent,
    Operation,
    decode,
    encode,
    encode_label,
)
from schemas.features import FeatureGroup
from schemas.keys import MAX_KEY_BYTES, MAX_KEY_LENGTH, BadEvent
from schemas.labels import LabelGroup, pair_of, pair_text

GOLDEN = Path(schemas.__file__).parent / "golden" / "events"
OURS = FeatureGroup(id=13, feature_store_id=67)
BY_NAME = FeatureGroup()
LABELS = LabelGroup(id=15, feature_store_id=67)
LABELS_BY_NAME = LabelGroup()


def said(value: bytes | None, group: Group = OURS, key: bytes | None = None, **headers: bytes) -> Change | Ignored:
    return decode(group, key, value, headers)


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("newer_shape.json", "u1"),
        ("older_shape.json", "6"),
        ("string_numbers.json", "6"),
        ("unknown_fields.json", "u1"),
    ],
)
@pytest.mark.parametrize("group", [OURS, BY_NAME])
def test_both_known_shapes_name_their_user(name: str, user: str, group: FeatureGroup) -> None:
    assert said(golden(name), group) == Change(user, Operation.UPSERT)


def test_a_header_marks_a_delete() -> None:
    assert said(golden("newer_shape.json"), operation=b"delete") == Change("u1", Operation.DELETE)


@pytest.mark.parametrize("group", [OURS, BY_NAME])
def test_another_group_is_ignored_by_id_and_by_name(group: FeatureGroup) -> None:
    assert said(golden("another_group.json"), group) == Ignored("another feature group")


def test_what_is_not_used_cannot_make_an_event_a_bad_one() -> None:
    odd = json.loads(golden("newer_shape.json")) | {"projectId": "p-1", "projectName": 5, "featureViews": 0}
    assert said(json.dumps(odd).encode()) == Change("u1", Operation.UPSERT)
    assert said(b'{"featureGroupId": 14, "entry": null}') == Ignored("another feature group")


def test_another_version_or_store_is_ignored() -> None:
    event = json.loads(golden("newer_shape.json"))
    other_version = {key: value for key, value in event.items() if not key.endswith("Id")} | {"featureGroupVersion": 2}
    assert said(json.dumps(other_version).encode()) == Ignored("another version of the feature group")
    assert said(json.dumps(event | {"featureStoreId": 68}).encode()) == Ignored("another feature store")


def test_the_name_does_not_matter_where_the_id_is_known() -> None:
    renamed = json.loads(golden("newer_shape.json")) | {"featureGroupName": "renamed"}
    assert said(json.dumps(renamed).encode()) == Change("u1", Operation.UPSERT)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (golden("missing_key.json"), "lacks the primary key 'user_id'"),
        (golden("missing_entry.json"), "entry is missing"),
        (golden("another_shape.json"), "should be an object"),
        (golden("cut_off.txt"), "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b'{"entry": {"user_id": null}}', "NoneType"),
        (b'{"entry": {"user_id": ["u1"]}}', "list"),
        (b'{"entry": {"user_id": 1.5}}', "float"),
        (b'{"entry": {"user_id": true}}', "bool"),
        (b'{"entry": {"user_id": ""}}', "0 characters"),
        (b'{"entry": {"user_id": "%s"}}' % (b"x" * (MAX_KEY_LENGTH + 1)), "1025 characters"),
        (rb'{"entry": {"user_id": "u\u0000"}}', "NUL"),
        (rb'{"entry": {"user_id": "\ud800"}}', "Invalid JSON"),
        (rb'{"entry": {"user_id": "\udc00\ud800"}}', "Invalid JSON"),
        (b'{"entry": {"user_id": "\xed\xa0\x80"}}', "Invalid JSON"),
        (('{"entry": {"user_id": "%s"}}' % ("\U0001f600" * 513)).encode(), "2052 bytes, more than 2048"),
        (b'{"entry": {"user_id": %s}}' % (b"9" * 4300), "4300 characters"),
        (b'{"entry": {"user_id": %s}}' % (b"9" * 4301), "out of range"),
        (b'{"entry": {"user_id": 1e999}}', "float"),
        (b'{"featureGroupId": "abc", "entry": {"user_id": "u1"}}', "featureGroupId"),
        (b"[" * 100_000, "Invalid JSON"),
    ],
)
def test_a_bad_record_has_its_reason(value: bytes, reason: str) -> None:
    with pytest.raises(BadEvent, match=reason.replace("(", r"\(")):
        said(value)


def test_a_user_id_that_no_ledger_can_store_is_bad_with_its_reason() -> None:
    for user, reason in (
        ("\0", "NUL"),
        ("u\0", "NUL"),
        ("\U0001f600" * 512 + "x", "2049 bytes"),
    ):
        for key, value in ((user.encode(), None), (None, encode(OURS, user))):
            with pytest.raises(BadEvent, match=reason):
                said(value, key=key)
    with pytest.raises(BadEvent, match="not UTF-8"):
        said(None, key="\ud800".encode("utf-8", "surrogatepass"))


def test_half_a_surrogate_pair_is_bad_even_where_a_json_parser_would_let_it_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lax = NotificationEvent.model_construct(feature_group_id=13, entry={"user_id": "\ud800"})
    monkeypatch.setattr(NotificationEvent, "model_validate_json", lambda _value: lax)
    with pytest.raises(BadEvent, match="half a surrogate pair"):
        said(b"")


@pytest.mark.parametrize("user", ["\U0001f600" * 512, "ä" * MAX_KEY_LENGTH, "x" * MAX_KEY_LENGTH, "\u0001", " ", "\n"])
def test_odd_user_ids_are_taken_as_they_are(user: str) -> None:
    assert said(encode(OURS, user)) == Change(user, Operation.UPSERT)
    assert said(None, key=user.encode()) == Change(user, Operation.DELETE)


def test_a_megabyte_of_entry_is_understood() -> None:
    event = {"featureGroupId": 13, "entry": {"user_id": "u1", "blob": "x" * 2**20}}
    assert said(json.dumps(event).encode()) == Change("u1", Operation.UPSERT)


def test_a_tombstone_is_a_delete_of_its_key_or_bad() -> None:
    assert said(None, key=b"u1") == Change("u1", Operation.DELETE)
    for key in (None, b"", b"\xff", b"u\0"):
        with pytest.raises(BadEvent, match="key"):
            said(None, key=key)


@given(st.none() | st.binary(max_size=200) | st.text().map(str.encode), st.none() | st.binary(max_size=20))
def test_nothing_but_a_bad_event_is_raised(value: bytes | None, key: bytes | None) -> None:
    with suppress(BadEvent):
        decode(OURS, key, value, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["entry", "featureGroupId", "featureStoreId", "featureGroupName", "featureViews", "x"])


@given(st.dictionaries(fields, json_values | st.fixed_dictionaries({"user_id": json_values}), max_size=6))
def test_any_json_is_dealt_with(event: dict[str, object]) -> None:
    with suppress(BadEvent):
        match said(json.dumps(event).encode()):
            case Change(key=user):
                assert user
            case Ignored(reason=reason):
                assert reason


@given(st.text(min_size=1, max_size=50).filter(lambda text: "\0" not in text))
def test_what_we_encode_we_decode(user: str) -> None:
    for group in (OURS, BY_NAME):
        assert said(encode(group, user), group) == Change(user, Operation.UPSERT)


# A label is named by two users.

ids = st.text(min_size=1, max_size=50).filter(lambda text: "\0" not in text)


@pytest.mark.parametrize(("name", "pair"), [("label.json", ("u1", "u2")), ("older_label.json", ("6", "7"))])
@pytest.mark.parametrize("group", [LABELS, LABELS_BY_NAME])
def test_both_known_shapes_name_their_pair(name: str, pair: tuple[str, str], group: LabelGroup) -> None:
    assert said(golden(name), group) == Change(pair_text(pair), Operation.UPSERT)
    assert said(golden(name), group, operation=b"delete") == Change(pair_text(pair), Operation.DELETE)


@given(ids, ids)
def test_the_label_that_we_encode_we_decode(user: str, other: str) -> None:
    for group in (LABELS, LABELS_BY_NAME):
        event = encode_label(group, (user, other))
        assert said(event, group) == Change(pair_text((user, other)), Operation.UPSERT)
        assert said(None, group, key=pair_text((user, other)).encode()) == Change(
            pair_text((user, other)), Operation.DELETE
        )
    assert pair_of(pair_text((user, other))) == (user, other)


@given(ids, ids)
def test_a_record_of_one_group_is_none_of_the_other(user: str, other: str) -> None:
    for features, labels in ((OURS, LABELS), (BY_NAME, LABELS_BY_NAME)):
        assert said(encode(features, user), labels) == Ignored("another feature group")
        assert said(encode_label(labels, (user, other)), features) == Ignored("another feature group")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (b'{"user_id": "a"}', "lacks the primary key 'other_user_id'"),
        (b'{"other_user_id": "a"}', "lacks the primary key 'user_id'"),
        (b'{"user_id": "a", "other_user_id": null}', "entry.other_user_id is NoneType"),
        (b'{"user_id": 1.5, "other_user_id": "a"}', "entry.user_id is float"),
        (b'{"user_id": "a", "other_user_id": ""}', "entry.other_user_id has 0 characters"),
        (rb'{"user_id": "a", "other_user_id": "\u0000"}', "entry.other_user_id has a NUL"),
        (b'{"user_id": "%s", "other_user_id": "%s"}' % (b"x" * 1024, b"y" * 1024), "2055 bytes together"),
    ],
)
def test_a_label_of_a_bad_user_has_its_reason(entry: bytes, reason: str) -> None:
    with pytest.raises(BadEvent, match=reason):
        said(b'{"entry": %s}' % entry, LABELS)


def test_a_label_s_key_fits_into_an_index_of_a_ledger() -> None:
    for end, size in (("x", 1020), ("\U0001f600", 255), ("\x01", 170)):
        change = said(encode_label(LABELS, (end * size, end * size)), LABELS)
        assert isinstance(change, Change)
        assert len(change.key.encode()) <= MAX_KEY_BYTES
        with pytest.raises(BadEvent, match="bytes together, more than 2048"):
            said(encode_label(LABELS, (end * size, end * size + "xx")), LABELS)


@pytest.mark.parametrize(
    "key",
    [
        None,
        b"",
        b"u1",
        b"\xff",
        b"[",
        b'["a"]',
        b'["a","b","c"]',
        b'{"a":"b"}',
        b'["a",""]',
        b'["a",null]',
        b"[" * 9999,
    ],
)
def test_a_tombstone_whose_key_is_no_pair_is_bad(key: bytes | None) -> None:
    with pytest.raises(BadEvent, match="key"):
        said(None, LABELS, key=key)


@given(st.none() | st.binary(max_size=200) | st.text().map(str.encode), st.none() | st.binary(max_size=20))
def test_nothing_but_a_bad_label_is_raised(value: bytes | None, key: bytes | None) -> None:
    with suppress(BadEvent):
        decode(LABELS, key, value, {})


# Most events are read at a glance; the model, which reads the others, would have said the same.


def outcome(value: bytes, group: Group) -> object:
    try:
        return said(value, group)
    except BadEvent as bad:
        return str(bad)


def same_with_care(value: bytes) -> None:
    for group in (OURS, BY_NAME, LABELS):
        quick = outcome(value, group)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(events, "_at_a_glance", lambda *_: None)
            assert outcome(value, group) == quick


def test_what_we_send_is_read_at_a_glance() -> None:
    for name in ("newer_shape.json", "older_shape.json", "unknown_fields.json", "another_group.json"):
        quick, careful = events._at_a_glance(("user_id",), golden(name)), events._with_care(("user_id",), golden(name))
        assert quick is not None
        assert quick.entry is not None
        assert careful.entry is not None
        assert quick.entry.user == careful.entry.user
        assert (quick.feature_group_id, quick.feature_group_name) == (
            careful.feature_group_id,
            careful.feature_group_name,
        )


@pytest.mark.parametrize("path", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_golden_events_say_the_same_at_a_glance(path: Path) -> None:
    same_with_care(path.read_bytes())


@pytest.mark.parametrize(
    "event",
    [
        b'{"featureGroupId": 14, "featureGroupId": 13, "entry": {"user_id": "u1", "user_id": "u2"}}',
        b'{"entry": 5, "entry": {"user_id": "u1"}}',
        b'{"entry": {"user_id": "u1"}, "entry": null}',
        b'{"feature_group_id": 14, "entry": {"user_id": "u1"}}',
        b'{"featureGroupId": 13, "feature_group_id": 14, "entry": {"user_id": "u1"}}',
        b'{"featureGroupId": 13.0, "entry": {"user_id": "u1"}}',
        b'{"featureGroupId": true, "entry": {"user_id": "u1"}}',
        b'{"featureGroupId": 1%s, "entry": {"user_id": "u1"}}' % (b"0" * 5000),
        b'{"featureGroupId": 1%s, "entry": {"user_id": "u1"}}' % (b"0" * 50),
        b'{"featureGroupName": "\\ud800", "entry": {"user_id": "u1"}}',
        b'{"entry": {"user_id": "u1", "x": NaN}}',
        b'{"entry": {"user_id": 1%s}}' % (b"0" * 30),
        b'\xef\xbb\xbf{"entry": {"user_id": "u1"}}',
        b' {"entry": {"user_id": "u1"}} ',
        b'{"entry": {"user_id": "u1"}} 1',
        b'{"entry": {"user_id": "u1", "x": "\xff"}}',
        b'{"entry": {"user_id": "u1"}, "\xff": 1}',
        b'{"entry": {"user_id": "u\xff"}}',
        b'{"featureGroupName": "\xff", "entry": {"user_id": "u1"}}',
        rb'{"entry": {"user_id": "u1", "x": "\ud800a"}}',
        rb'{"entry": {"user_id": "\ud800a"}}',
        rb'{"entry": {"user\u005fid": "u1"}}',
        b'{"entry": {"x": 1}}',
        b'{"featureGroupId": 14, "entry": {}}',
    ],
)
def test_odd_events_say_the_same_at_a_glance(event: bytes) -> None:
    same_with_care(event)


@given(
    st.sampled_from([path.read_bytes() for path in sorted(GOLDEN.iterdir())]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3),
)
def test_mutated_events_say_the_same_at_a_glance(event: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    for at, length, put in cuts:
        event = event[:at] + put + event[at + length :]
    same_with_care(event)


@given(
    st.dictionaries(
        fields,
        json_values | st.fixed_dictionaries({"user_id": json_values, "other_user_id": json_values}),
        max_size=6,
    )
)
def test_any_json_says_the_same_at_a_glance(event: dict[str, object]) -> None:
    same_with_care(json.dumps(event).encode())


def nested(depth: int, opened: bytes, inner: bytes, closed: bytes) -> bytes:
    """An event that is so deep, itself among it."""
    inside = opened * (depth - 1) + inner + closed * (depth - 1)
    return b'{"featureGroupId": "13", "entry": {"user_id": "u1"}, "x": ' + inside + b"}"


@pytest.mark.parametrize(
    ("opened", "inner", "closed"), [(b"[", b"", b"]"), (b'{"a":', b"1", b"}"), (b'[{"a":', b"1", b"}]")]
)
def test_an_event_may_be_two_hundred_deep(opened: bytes, inner: bytes, closed: bytes) -> None:
    most = 1 + (MAX_NESTING - 1) // (1 + opened.startswith(b"[{"))
    assert said(nested(most, opened, inner, closed)) == Change("u1", Operation.UPSERT)
    for depth in (most + 1, most + 2, 500, 900, 1100, 20_000):
        event = nested(depth, opened, inner, closed)
        for one in (event, event.replace(b'"13"', b"13")):
            with pytest.raises(BadEvent, match="201 deep in it, more than 200"):
                said(one)
            assert events._at_a_glance(("user_id",), one) is None


def test_brackets_in_a_text_are_not_deep() -> None:
    for text in ("[" * 500, '{"[\\\\' * 300, '\\"' * 300 + "[" * 300):
        event = {"featureGroupId": 13, "entry": {"user_id": "u1", "x": text}, "y": [[]] * 300, "z": [{}] * 300}
        assert said(json.dumps(event).encode()) == Change("u1", Operation.UPSERT)


@pytest.mark.parametrize("part", [b'\\"', b'"', b"[", b"[]", b'"\\', b'["', b"\\"])
def test_how_deep_it_is_is_seen_in_no_time(part: bytes) -> None:
    value = b"{" * 150 + b"[]" * 300 + part * (2**20 // len(part))
    began = time.process_time()
    with suppress(BadEvent):
        said(value)
    assert time.process_time() - began < 5
