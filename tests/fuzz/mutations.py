"""Messages by number: golden events, mutated, and what `rows` has for the ingestion topic."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random

from schemas.events import Operation
from schemas.hopsworks import Source
from schemas.keys import MAX_KEY_BYTES, MAX_KEY_LENGTH
from tests.fuzz.messages import KNOWN_USERS, NOW_MS, Headers, Message
from tests.fuzz.rows import row
from tests.fuzz.seeds import FIELDS, GOLDEN, HEADERS, MARKS, WORDS

BIG = 900_000
_BIG_EVERY = 20_000
_PLANES = [chr(code) for code in range(0x10000, 0x20000)]  # four bytes each in UTF-8


def message(source: Source, seed: int, number: int) -> Message:
    """Message `number` of a flood; it goes to partition `number % PARTITIONS`."""
    draw = Random(f"{seed}:{number}")
    made = row(draw, number) if source == "ingestion" else _event_of(draw, number)
    if draw.random() < 0.1:
        made = replace(made, timestamp=draw.choice([1, 999, NOW_MS, NOW_MS + 1]))
    return made


def _event_of(draw: Random, number: int) -> Message:
    made = _big(draw, number) if number % _BIG_EVERY == 7 else draw.choices(_KINDS, _WEIGHTS)[0](draw, number)
    if draw.random() < 0.1:
        made = replace(made, headers=(*made.headers, *_odd_headers(draw)))
    return made


def _known(number: int) -> str:
    return f"known-{number % KNOWN_USERS}"


def _event(user: object, draw: Random) -> bytes:
    """A golden event of our group with another user in it."""
    event = json.loads(GOLDEN[draw.choice(["newer_shape.json", "older_shape.json", "unknown_fields.json"])])
    event["entry"]["user_id"] = user
    return json.dumps(event).encode()


def _untouched(draw: Random, number: int) -> Message:
    user = _known(number)
    if draw.random() < 0.1:
        marked: Headers = (("operation", draw.choice([b"delete", b"DELETE"])),)
        return Message(user.encode(), _event(user, draw), "stored", marked, user=user, operation=Operation.DELETE)
    return Message(user.encode(), _event(user, draw), "stored", user=user)


def _integer_user(draw: Random, number: int) -> Message:
    user = 10**12 + number % KNOWN_USERS
    return Message(None, _event(user, draw), "stored", user=str(user))


def _odd_user(draw: Random, number: int) -> Message:
    """Of as many bytes as are taken, and none of them to be compressed; or with characters that nobody types."""
    whose = number % KNOWN_USERS
    user = Random(whose).choices(_PLANES, k=MAX_KEY_BYTES // 4)
    name = draw.choice(["".join(user), f"\x01\n\x7f\u2028\ufeff'\"%s;--{whose}"])
    if draw.random() < 0.5:
        return Message(name.encode(), None, "stored", user=name, operation=Operation.DELETE)
    return Message(None, _event(name, draw), "stored", user=name)


def _tombstone(draw: Random, number: int) -> Message:
    user = _known(number)
    return Message(user.encode(), None, "stored", user=user, operation=Operation.DELETE)


def _big(draw: Random, number: int) -> Message:
    user = _known(number)
    event = json.loads(GOLDEN["newer_shape.json"])
    event["entry"] = {"blob": "x" * draw.randrange(BIG), "user_id": user}
    return Message(b"k" * draw.choice([0, 1, 10_000]), json.dumps(event).encode(), "stored", user=user)


def _not_ours(draw: Random, number: int) -> Message:
    field, other = draw.choice([("featureGroupId", 14), ("featureStoreId", 68), ("featureGroupId", "2147483648")])
    event = json.loads(GOLDEN["newer_shape.json"]) | {field: other}
    value = draw.choice([GOLDEN["another_group.json"], json.dumps(event).encode()])
    return Message(None, value, "ignored")


def _cut_off(draw: Random, number: int) -> Message:
    """No part of a JSON object that lacks its end is JSON."""
    event = _event(_known(number), draw)
    return Message(_known(number).encode(), event[: draw.randrange(len(event))], "dead")


def _without_user(draw: Random, number: int) -> Message:
    bad: object = draw.choice(
        [None, True, 1.5, [], {}, ["u1"], "", "u\0", "x" * (MAX_KEY_LENGTH + 1), "\U0001f600" * 600, 10**1024]
    )
    names_nobody = [GOLDEN[name] for name in ("missing_key.json", "missing_entry.json", "another_shape.json")]
    return Message(_known(number).encode(), draw.choice([_event(bad, draw), *names_nobody]), "dead")


def _nobody_s_tombstone(draw: Random, number: int) -> Message:
    return Message(draw.choice([None, b"", b"\xff", b"\xed\xa0\x80", b"u\0", b"x" * 5000]), None, "dead")


def _no_json(draw: Random, number: int) -> Message:
    noise = draw.randbytes(draw.randrange(300))
    return Message(
        draw.choice([None, b"", noise]),
        draw.choice([b"", b"\xff" + noise, b"[" * 10_000, b'{"a":' * 500, b"\xef\xbb\xbf" + _event("u", draw)]),
        "dead",
    )


def _flipped(draw: Random, number: int) -> Message:
    """Some bits are not what they were."""
    data = bytearray(_base(draw))
    for _ in range(draw.randint(1, 8)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return Message(draw.randbytes(draw.randrange(9)), bytes(data), "any")


def _spliced(draw: Random, number: int) -> Message:
    one, other = _base(draw), _base(draw)
    return Message(None, one[: draw.randrange(len(one))] + other[draw.randrange(len(other)) :], "any")


def _with_words(draw: Random, number: int) -> Message:
    data = _base(draw)
    for word in draw.choices(WORDS, k=draw.randint(1, 3)):
        start = draw.randrange(len(data))
        data = data[:start] + word + data[start + draw.choice([0, 0, 1, len(word)]) :]
    return Message(None, data, "any")


def _with_odd_fields(draw: Random, number: int) -> Message:
    event = json.loads(_event(f"maybe-{draw.randrange(100)}", draw))
    odd: list[object] = [None, True, -1, 13, "13", 13.0, 1e300, "songs", [], {}, {"user_id": "maybe"}, "ö", 10**30]
    for field in draw.choices(FIELDS, k=draw.randint(1, 3)):
        event[field] = draw.choice(odd)
    return Message(None, json.dumps(event).encode(), "any")


def _base(draw: Random) -> bytes:
    return draw.choice([_event(f"maybe-{draw.randrange(100)}", draw), *GOLDEN.values()])


def _odd_headers(draw: Random) -> Headers:
    """Names and values that say nothing of a change; some have no value, some come twice. The producer knows no NUL."""
    names = [name for name in HEADERS if name != "operation" and "\0" not in name]
    return tuple((draw.choice(names), draw.choice([None, *MARKS])) for _ in range(draw.randint(1, 4)))


_KINDS: list[Callable[[Random, int], Message]] = [
    _untouched, _integer_user, _odd_user, _tombstone, _not_ours, _cut_off, _without_user, _nobody_s_tombstone, _no_json,
    _flipped, _spliced, _with_words, _with_odd_fields,
]  # fmt: skip
_WEIGHTS = [20, 4, 1, 4, 10, 5, 5, 3, 4, 20, 5, 10, 10]
