"""Coverage-guided fuzzing of what turns bytes into events: `python -m tests.fuzz.decoders TARGET [OPTION ...]`.

Targets are `notification`, `ingestion`, `batch` and, of what a fetch brings, `wire`; options such as `-runs=1000` go to
libFuzzer. An input that breaks a property ends the run and is written into the working folder; with its name as an
option it is tried again.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import atheris

from tests.fuzz.seeds import FIELDS, GOLDEN, GROUPS, HEADERS, LABEL_GROUPS, MARKS, WORDS
from tests.wire import PACKED, Sent
from tests.wire import batch as batch_of

_WIRE = ["fetched", "batches", "old_batches", "records", "fields", "unpacking"]
with atheris.instrument_imports(
    include=[
        "schemas.events",
        "schemas.event_lines",
        "schemas.ingestion",
        "consumer.decoding",
        *(f"consumer.kafka.{name}" for name in _WIRE),
    ]
):
    from tests.fuzz.properties import Record, Tally, account_for, read_whole, verdict_on

# The decoder's JSON parser is compiled and shows no coverage. The same value in Python's own, instrumented, leads the
# fuzzer through the grammar.
_guide: Any = json.JSONDecoder()
_guide.parse_string = atheris.instrument_func(json.decoder.py_scanstring)  # type: ignore[attr-defined]
_guide.parse_object = atheris.instrument_func(json.decoder.JSONObject)  # type: ignore[attr-defined]
_guide.parse_array = atheris.instrument_func(json.decoder.JSONArray)  # type: ignore[attr-defined]
_guide.scan_once = atheris.instrument_func(json.scanner.py_make_scanner)(_guide)  # type: ignore[attr-defined]

_NULL_KEY, _NULL_VALUE, _BUILT, _BLOWN_UP = 1, 2, 4, 8
_KEY_BYTES = 2**13 - 1
_COPIES = 5_000
_LED = 400  # bytes; it is slow
_SAID_EVERY = 10_000
_BEHIND = 20
"""The offset of what lies behind the fuzzed batch."""


def main(arguments: list[str]) -> None:
    """Fuzz one target until libFuzzer has had enough."""
    target, *options = arguments
    tally = Tally(every=_SAID_EVERY)
    folder = TemporaryDirectory(prefix="fuzz-")  # for as long as the process lives
    words, corpus = Path(folder.name) / "words", Path(folder.name) / "corpus"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS))
    corpus.mkdir()
    for number, seed in enumerate(seeds()):
        (corpus / str(number)).write_bytes(seed)
    tries = [option for option in options if not option.startswith("-")]
    # What one input takes is bounded, and not the whole: the peak that libFuzzer sees may be that of our parent.
    bounds = ["-max_len=4096", "-timeout=10", "-malloc_limit_mb=256", "-rss_limit_mb=0"]
    defaults = [f"-dict={words}", *bounds, "-print_final_stats=1"]
    atheris.Setup(["decoders", *defaults, *options, *([] if tries else [str(corpus)])], _targets(tally)[target])
    atheris.Fuzz()


def _targets(tally: Tally) -> dict[str, Callable[[bytes], None]]:
    def notification(data: bytes) -> None:
        taken = atheris.FuzzedDataProvider(data)
        group, record = taken.PickValueInList([*GROUPS, *LABEL_GROUPS]), record_of(taken)
        _lead(record)
        verdict = verdict_on("notification", group, record)
        tally.note({type(verdict).__name__: 1})

    def ingestion(data: bytes) -> None:
        taken = atheris.FuzzedDataProvider(data)
        verdict = verdict_on("ingestion", taken.PickValueInList([*GROUPS[:2], *LABEL_GROUPS[:2]]), record_of(taken))
        tally.note({type(verdict).__name__: 1})

    def batch(data: bytes) -> None:
        taken = atheris.FuzzedDataProvider(data)
        group = taken.PickValueInList([*GROUPS, *LABEL_GROUPS])
        offset, records = taken.ConsumeIntInRange(0, 3), []
        for _ in range(taken.ConsumeIntInRange(1, 4)):
            timestamp = taken.ConsumeIntInRange(-(2**63), 2**63 - 1)
            size = taken.ConsumeIntInRange(0, 1023)
            record = record_of(atheris.FuzzedDataProvider(taken.ConsumeBytes(size)))
            _lead(record)
            records.append(Record(record.key, record.value, record.headers, timestamp, offset))
            offset += taken.ConsumeIntInRange(1, 3)
        source, expected = taken.PickValueInList(["notification", "ingestion"]), taken.ConsumeIntInRange(0, 5)
        tally.note(account_for(source, group, records, expected))

    def wire(data: bytes) -> None:
        taken = atheris.FuzzedDataProvider(data)
        start, at_once = taken.ConsumeIntInRange(0, 5), taken.ConsumeIntInRange(1, 9)
        tally.note(read_whole(fetched(taken), start, at_once))

    return {"notification": notification, "ingestion": ingestion, "batch": batch, "wire": wire}


def fetched(taken: Any) -> bytes:
    """A fetch of one partition from a fuzzer's bytes: a batch that is sound or nearly, and a sound one behind it."""
    behind = batch_of([Sent(value=b"behind")], _BEHIND)
    shape, codec = taken.ConsumeIntInRange(0, 3), taken.ConsumeIntInRange(0, 7)
    if shape == 0:  # of any format, with a length that holds
        rest: bytes = taken.ConsumeBytes(taken.remaining_bytes())
        return struct.pack(">qi", 0, len(rest)) + rest + behind
    flags, count = taken.ConsumeIntInRange(0, 0x3F) << 3, taken.ConsumeIntInRange(-1, 9)
    last, producer = taken.ConsumeIntInRange(0, _BEHIND - 1), taken.ConsumeIntInRange(-1, 1)
    inside = taken.ConsumeBytes(taken.remaining_bytes())
    if codec in PACKED and shape == 1:
        inside = bytes(PACKED[codec](inside))
    made = batch_of(b"", packed=inside, codec=codec, flags=flags, count=count, last=last, producer=producer)
    return made + behind


def record_of(taken: Any) -> Record:
    """The record that a fuzzer's bytes stand for: numbers are taken from their end, key and value from the start."""
    shape = taken.ConsumeIntInRange(0, 15)
    key_size = taken.ConsumeIntInRange(0, _KEY_BYTES)
    headers = [
        (taken.PickValueInList(HEADERS), taken.PickValueInList([None, *MARKS]))
        for _ in range(taken.ConsumeIntInRange(0, 3))
    ]
    key = None if shape & _NULL_KEY else taken.ConsumeBytes(key_size)
    if shape & _NULL_VALUE:
        return Record(key, None, headers)
    if shape & _BUILT:  # an event's names, in any order and of any type, some of them twice
        value = _any_object(taken, 3).encode("utf-8", "surrogatepass")
    else:
        value = taken.ConsumeBytes(taken.remaining_bytes())
    if shape & _BLOWN_UP:
        at, size = (taken.ConsumeIntInRange(0, len(value)) for _ in range(2))
        value = value[:at] + value[at : at + 1 + size % 16] * _COPIES + value[at:]
    return Record(key, value, headers)


def _lead(record: Record) -> None:
    if record.value and len(record.value) <= _LED:
        with suppress(ValueError, RecursionError):
            _guide.decode(record.value.decode())


def _any_json(taken: Any, depth: int) -> str:
    match taken.ConsumeIntInRange(0, 6 if depth else 4):
        case 0:
            return str(taken.PickValueInList(["13", '"13"', "67", "1", "14", "13.0", "null", "true", '""']))
        case 1:
            text = taken.ConsumeUnicode(taken.ConsumeIntInRange(0, 20))
            return json.dumps(text, ensure_ascii=taken.ConsumeBool())
        case 2:
            return str(taken.ConsumeInt(8))
        case 3:
            return str(taken.ConsumeFloat())
        case 4:
            return '"spotify_user_embeddings"'
        case 5:
            return f"[{', '.join(_any_json(taken, depth - 1) for _ in range(taken.ConsumeIntInRange(0, 2)))}]"
    return _any_object(taken, depth - 1)


def _any_object(taken: Any, depth: int) -> str:
    names = [json.dumps(taken.PickValueInList(FIELDS)) for _ in range(taken.ConsumeIntInRange(0, 5))]
    return f"{{{', '.join(f'{name}: {_any_json(taken, depth)}' for name in names)}}}"


def seeds() -> list[bytes]:
    """The golden events as the fuzzer's bytes: what is theirs, then the numbers by which `record_of` reads them."""
    found = [bytes([0, 0, 0, _BUILT, 0]), bytes([0, 0, 0, _NULL_VALUE | _NULL_KEY, 0])]
    for value in GOLDEN.values():
        found.append(value + bytes([0, 0, 0, _NULL_KEY, 0]))
        deleted, ours = (HEADERS.index("operation"), 1 + MARKS.index(b"delete")), (1, 1 + MARKS.index(b"13"))
        for name, held in (deleted, ours):
            found.append(b"u1" + value + bytes([held, name, 1, 2, 0, 0, 0]))
    sent = [Sent(b"k", b"one", [(b"h", b"1"), (b"\xff", None)]), Sent(None, None, delta=1), Sent(delta=2, later=5)]
    inside = b"".join(one.wire() for one in sent)
    for codec, packed in [(0, inside), *((at, bytes(pack(inside))) for at, pack in PACKED.items())]:
        found.append(packed + bytes([0, 2, 4, 0, codec, 2, 8, 0]))
    found.append(batch_of(sent)[12:] + bytes([0, 0, 8, 0]))
    return found


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main(sys.argv[1:])
