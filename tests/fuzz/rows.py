"""Records of an ingestion topic by number, sound ones and mutated ones, as `tests.fuzz.mutations` has change events."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from schemas.events import Operation
from tests.fuzz.messages import KNOWN_USERS, Headers, Message
from tests.fuzz.seeds import HEADERS, MARKS

_OURS: Headers = (("projectId", b"119"), ("featureGroupId", b"13"), ("subjectId", b"7"))
_NAMES = [name for name in HEADERS if "\0" not in name]  # the producer knows none with a NUL


def row(draw: Random, number: int) -> Message:
    """A record of an ingestion topic."""
    return draw.choices(_KINDS, _WEIGHTS)[0](draw, number)


def _avro(draw: Random) -> bytes:
    return draw.randbytes(draw.randrange(60))


def _sound(draw: Random, number: int) -> Message:
    user = f"known-{number % KNOWN_USERS}"
    if draw.random() < 0.1:
        marked = (*_OURS, ("operation", draw.choice([b"delete", b"DELETE"])))
        return Message(user.encode(), _avro(draw), "stored", marked, user=user, operation=Operation.DELETE)
    told: Headers = draw.choice([_OURS, (*_OURS, ("storage", b"online")), (("featureGroupId", b"14"), *_OURS)])
    return Message(user.encode(), _avro(draw), "stored", told, user=user)


def _tombstone(draw: Random, number: int) -> Message:
    user = f"known-{number % KNOWN_USERS}"
    return Message(user.encode(), None, "stored", _OURS, user=user, operation=Operation.DELETE)


def _not_ours(draw: Random, number: int) -> Message:
    """Of another group, or for the offline store only; its key may name one of our users all the same."""
    key = draw.choice([None, b"\xff", f"known-{number % KNOWN_USERS}".encode()])
    others: list[Headers] = [
        (("featureGroupId", draw.choice([b"14", b"013", b"13.0", b""])),),
        (*_OURS, ("featureGroupId", b"14")),
        (*_OURS, ("storage", draw.choice([b"offline", b"OFFLINE"]))),
    ]
    return Message(key, draw.choice([None, _avro(draw)]), "ignored", draw.choice(others))


def _of_no_group(draw: Random, number: int) -> Message:
    """Without the header that names the group, or with one that has no value."""
    told: Headers = draw.choice([(), (("featureGroupId", None),), _OURS[:1]])
    return Message(f"known-{number % KNOWN_USERS}".encode(), _avro(draw), "dead", told)


def _of_nobody(draw: Random, number: int) -> Message:
    return Message(
        draw.choice([None, b"", b"\xff", b"\xed\xa0\x80", b"u\0", b"x" * 5000]),
        draw.choice([None, _avro(draw)]),
        "dead",
        _OURS,
    )


def _any_key(draw: Random, number: int) -> Message:
    key = bytearray(f"known-{number % KNOWN_USERS}\N{SNOWMAN}".encode())
    for _ in range(draw.randint(1, 3)):
        key[draw.randrange(len(key))] ^= 1 << draw.randrange(8)
    return Message(bytes(key), _avro(draw), "any", _OURS)


def _any_headers(draw: Random, number: int) -> Message:
    told = [(draw.choice(_NAMES), draw.choice([None, *MARKS])) for _ in range(draw.randint(1, 4))]
    ours = draw.choice([(), _OURS])
    return Message(f"maybe-{draw.randrange(100)}".encode(), _avro(draw), "any", (*ours, *told))


_KINDS: list[Callable[[Random, int], Message]] = [
    _sound, _tombstone, _not_ours, _of_no_group, _of_nobody, _any_key, _any_headers,
]  # fmt: skip
_WEIGHTS = [30, 5, 20, 8, 8, 14, 15]
