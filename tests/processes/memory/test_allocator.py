"""Large blocks are mappings of their own, whatever was freed before."""

from __future__ import annotations

import pytest

from tests.processes.memory.fresh import told

_COUNTED = """
import ctypes, sys
from consumer.allocator import give_back_large_blocks

class Malloc(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    _fields_ = [(name, ctypes.c_size_t) for name in names]

try:
    asked = ctypes.CDLL(None).mallinfo2
except AttributeError:
    sys.exit(print("null"))
asked.restype = Malloc
if sys.argv[1] == "told":
    assert give_back_large_blocks()
freed = bytearray(31 * 2**20)
del freed  # this is what makes glibc raise the size from which a block is one, if it is left alone
before = asked().hblks
kept = [bytearray(2**20) for _ in range(8)]
during = asked().hblks
kept.clear()
print([during - before, asked().hblks - before])
"""
"""How many more blocks are mappings of their own while eight of 1 MiB are held, and after that."""


@pytest.mark.parametrize(("said", "expected"), [("told", [8, 0]), ("left alone", [0, 0])])
def test_a_large_block_is_a_mapping_of_its_own_after_a_larger_one_was_freed(said: str, expected: list[int]) -> None:
    counted = told(_COUNTED, said)
    if counted is None:
        pytest.skip("the C library is not glibc 2.33 or later")
    assert counted == expected
