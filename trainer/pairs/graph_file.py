"""The graph of similar pairs on disk: one file, mapped into memory instead of read.

    pairs.bin   a line of JSON (policy, and type, length, place and CRC-32 of each array), and the arrays

A new graph is written beside the file and takes its place in one rename, so whoever dies meanwhile leaves the earlier
graph. Who has mapped the earlier file keeps it as it was. Spaces of earlier releases have `pairs.npz`: it is read as a
whole, and goes away when the graph is stored the next time. Where both are there, an earlier release has run since and
knows nothing of `pairs.bin`, or a process died between rename and removal: neither is believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from schemas.fault_points import Point, reached
from schemas.policies import PairPolicy
from stores.files import replacing

Arrays = dict[str, NDArray[Any]]

PAIRS_FILE = "pairs.bin"
_EARLIER_FILE = "pairs.npz"
_FORMAT = 1
_PAGE = 4096  # arrays begin at its multiples, so that all numbers are aligned
_AT_A_TIME = 2**22


def stored_graph(folder: Path) -> tuple[PairPolicy, Arrays] | None:
    """The policy of the graph in `folder`, and its arrays, mapped.

    None where there is none, it is damaged, or nobody can tell which of two is the newer one.
    """
    if not (folder / _EARLIER_FILE).exists():
        return _mapped(folder / PAIRS_FILE)
    return None if (folder / PAIRS_FILE).exists() else _read(folder / _EARLIER_FILE)


def store_graph(folder: Path, policy: PairPolicy, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Store a graph in `folder`; when this returns it is on disk, and until then the one before is.

    Raises:
        OSError: the disk has no room; the graph before is still there.
    """
    with replacing(folder / PAIRS_FILE) as file:
        places, sums = _places(arrays), {}
        for number, (name, array) in enumerate(arrays.items()):
            file.seek(places[name])
            sums[name] = _write(file, np.ascontiguousarray(array))
            if number == len(arrays) // 2:
                reached(Point.PAIR_HALF)
        file.truncate(max(file.tell(), _PAGE))
        file.seek(0)
        file.write(_head(policy, arrays, places, sums))
    (folder / _EARLIER_FILE).unlink(missing_ok=True)


def _write(file: IO[bytes], array: NDArray[Any]) -> int:
    """Write it, part by part; its CRC-32."""
    for start in range(0, len(array), _AT_A_TIME):
        file.write(array[start : start + _AT_A_TIME].data)
    return _sum_of(array)


def _sum_of(array: NDArray[Any]) -> int:
    found = 0
    for start in range(0, len(array), _AT_A_TIME):
        found = crc32(array[start : start + _AT_A_TIME].data, found)
    return found


def _places(arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Where each array begins."""
    places, at = {}, _PAGE
    for name, array in arrays.items():
        places[name] = at
        at += -(-array.nbytes // _PAGE) * _PAGE
    return places


def _head(
    policy: PairPolicy, arrays: Mapping[str, NDArray[Any]], places: Mapping[str, int], sums: Mapping[str, int]
) -> bytes:
    """The first line."""
    told = {name: [array.dtype.str, len(array), places[name], sums[name]] for name, array in arrays.items()}
    line = json.dumps({"format": _FORMAT, "policy": policy.model_dump(mode="json"), "arrays": told}).encode() + b"\n"
    if len(line) > _PAGE:
        raise ValueError(f"the head of {PAIRS_FILE} has {len(line)} bytes, and room for {_PAGE}")
    return line


def _mapped(path: Path) -> tuple[PairPolicy, Arrays] | None:
    try:
        with path.open("rb") as file:
            told = json.loads(file.readline(_PAGE))
            if told["format"] != _FORMAT:
                return None
            arrays = {name: _array(file, path.stat().st_size, *place) for name, place in told["arrays"].items()}
        return PairPolicy.model_validate(told["policy"]), arrays
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _array(file: IO[bytes], size: int, kind: str, length: int, place: int, crc: int) -> NDArray[Any]:
    dtype = np.dtype(kind)
    if place + length * dtype.itemsize > size:
        raise ValueError(f"{PAIRS_FILE} ends before its arrays do")
    if not length:
        return np.empty(0, dtype)
    found = np.memmap(file, dtype=dtype, mode="r", offset=place, shape=(length,)).view(np.ndarray)
    if _sum_of(found) != crc:
        raise ValueError(f"an array of {PAIRS_FILE} is not what was written")
    return found


def _read(path: Path) -> tuple[PairPolicy, Arrays] | None:
    """A graph of an earlier release."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "policy"}
            return PairPolicy.model_validate_json(str(stored["policy"])), arrays
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None
