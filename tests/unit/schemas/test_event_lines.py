"""Events that are decoded together say what each of them says alone, whatever stands beside them."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.event_lines import decode_lines
from schemas.events import MAX_NESTING, Change, Ignored, Operation, decode, encode, encode_label
from schemas.features import FeatureGroup
from schemas.keys import MAX_KEY_LENGTH, BadEvent
from schemas.labels import LabelGroup, pair_text
from tests.fuzz.seeds import GOLDEN

OURS = FeatureGroup(id=13, feature_store_id=67)
LABELS = LabelGroup(id=15, feature_store_id=67)
GROUPS = (OURS, FeatureGroup(), LABELS, LabelGroup())
EVENT = b'{"entry":{"user_id":"u1"}}'


def holds(values: list[bytes]) -> None:
    for group in GROUPS:
        found = decode_lines(group, values)
        assert found.keys() <= set(values)
        for value, said in found.items():
            assert said == decode(group, None, value, {})


BITS = (
    *(
        EVENT,
        b"{}",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"\n",
        b"\r",
        b" ",
        b",",
        b":",
        b"\0",
        b"\xff",
        b"\xc3",
        b"\xa4",
    ),
    *(b'{"x":', b'{"x":"', b'{"entry":', b'{"user_id":"u2"}', b'{"user_id":9}', b'"user_id":"u3"', b"null", b"1e999"),
    *(b'"featureGroupId":14,', b'"featureGroupId":"13",', b'"featureGroupId":1' + b"0" * 400, b"\\u0000"),
)
pieces = st.lists(st.sampled_from(BITS), max_size=6).map(b"".join)
cuts = st.tuples(st.sampled_from(sorted(GOLDEN.values())), st.integers(0, 400), st.binary(max_size=3)).map(
    lambda given: given[0][: given[1]] + given[2] + given[0][given[1] + 1 :]
)
values = st.one_of(
    pieces,
    cuts,
    st.binary(max_size=20),
    st.sampled_from(sorted(GOLDEN.values())),
    st.text(max_size=5).map(lambda user: encode(OURS, user)),
    st.text(max_size=5).map(lambda user: json.dumps({"entry": {"user_id": user}}).encode()),
    st.tuples(st.text(max_size=3), st.text(max_size=3)).map(lambda pair: encode_label(LABELS, pair)),
)


@given(st.lists(values, max_size=8))
@example([EVENT + EVENT, b""])  # two on one line and none on the next
@example([EVENT + b" " + EVENT, b" "])
@example([EVENT + b"\r" + EVENT, b'{"entry":', b'{"user_id":"u2"}}', EVENT])
@example([EVENT + EVENT, b'{"x":"}', b'{"}'])
@example([EVENT + EVENT, b'{"x":{}', b"{}}"])
@example([EVENT + EVENT, b'{"x":[{}', b"{}]}"])
@example([EVENT + b"\n" + EVENT, b"{", b"}"])
@example([b"{}\n{}", EVENT])
@example([b"\xef\xbb\xbf" + EVENT, EVENT])
@example([b'{"entry":{"user_id":"\xc3"}}', b'{"entry":{"user_id":"\xa4"}}'])
@example([b'{"entry":{"user_id":"u\0"}}', EVENT])
@example([b'{"entry":{"user_id":"u1","user_id":"u2"},"entry":{"user_id":"u3"}}', EVENT])
@example([b'{"entry":{"user_id":1%s}}' % (b"0" * 5000), EVENT])
@example([b'{"featureGroupId":true,"entry":{"user_id":"u1"}}', b'{"featureGroupId":1,"entry":{"user_id":"u1"}}'])
def test_a_value_says_beside_others_what_it_says_alone(beside: list[bytes]) -> None:
    holds(beside)


def test_what_is_too_deep_or_too_long_is_as_bad_among_others() -> None:
    for deep in (MAX_NESTING - 2, MAX_NESTING - 1, MAX_NESTING, 5 * MAX_NESTING):
        holds([EVENT, b'{"entry":{"user_id":"u9"},"x":%s%s}' % (b"[" * deep, b"]" * deep)])
    for size in (MAX_KEY_LENGTH, MAX_KEY_LENGTH + 1):
        holds([EVENT, encode(OURS, "x" * size), encode(OURS, "ä" * size)])
    holds([EVENT, b'{"entry":{"user_id":"u1","x":"%s"}}' % (b"x" * 2**20)])


def test_what_is_sent_is_decoded_together() -> None:
    users = [f"listener-{number}" for number in range(1_000)]
    found = decode_lines(OURS, [encode(OURS, user) for user in users])
    assert list(found.values()) == [Change(user, Operation.UPSERT) for user in users]
    found = decode_lines(OURS, [encode(OURS, "ä"), encode(OURS, "b")])
    assert list(found.values()) == [Change("ä", Operation.UPSERT), Change("b", Operation.UPSERT)]
    (label,) = decode_lines(LABELS, [encode_label(LABELS, ("a", "b"))]).values()
    assert label == Change(pair_text(("a", "b")), Operation.UPSERT)


def test_events_of_several_groups_on_one_topic_are_told_apart() -> None:
    other = encode(FeatureGroup(id=14, feature_store_id=67), "u1")
    found = decode_lines(OURS, [encode(OURS, "u1"), other, b'{"entry":{"user_id":7}}'])
    assert list(found.values()) == [
        Change("u1", Operation.UPSERT),
        Ignored("another feature group"),
        Change("7", Operation.UPSERT),
    ]


@pytest.mark.parametrize("bad", [b"", b"x", b'{"entry":{}}', EVENT + EVENT, b'{"entry":{"user_id":"\\u0000"}}'])
def test_a_bad_event_is_never_told_and_spoils_few_of_the_others(bad: bytes) -> None:
    found = decode_lines(OURS, [*(encode(OURS, f"u{number}") for number in range(2_000)), bad])
    assert bad not in found
    assert len(found) > 1_500
    with pytest.raises(BadEvent):
        decode(OURS, None, bad, {})
