"""Large blocks are mappings of their own, whatever was freed before."""

from __future__ import annotations

import ctypes

import pytest

from consumer.allocator import give_back_large_blocks

MIB = 2**20
_COUNTS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class Malloc(ctypes.Structure):
    """What glibc's `mallinfo2` says."""

    _fields_ = [(name, ctypes.c_size_t) for name in _COUNTS]


def mapped() -> int:
    """How many blocks are mappings of their own."""
    try:
        asked = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("the C library is not glibc 2.33 or later")
    asked.restype = Malloc
    return int(asked().hblks)


def test_a_large_block_is_a_mapping_of_its_own_after_a_larger_one_was_freed() -> None:
    assert give_back_large_blocks()
    freed = bytearray(31 * MIB)
    del freed  # this is what makes glibc raise the size from which a block is one, if it is left alone
    before = mapped()
    kept = [bytearray(24 * MIB) for _ in range(8)]  # longer than any hole that other tests leave in the heap
    assert mapped() - before == len(kept)
    kept.clear()
    assert mapped() == before


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert not give_back_large_blocks()
