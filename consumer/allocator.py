"""The C library gives back what large buffers took.

Left alone, glibc raises the size from which a block has a mapping of its own as soon as a large one is freed, to 32 MiB
at most, and gives each thread a heap of its own. Buffers of fetches then lie in heaps between small blocks that stay,
so that a service is larger after a catch-up than it need be.
"""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # of malloc.h
_LARGE = 128 * 1024


def give_back_large_blocks() -> bool:
    """Have every block of 128 KiB or more given back as soon as it is freed, and small ones share one heap.

    To be called before other threads start. Returns False, and changes nothing, where the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return bool(mallopt(_MMAP_THRESHOLD, _LARGE)) and bool(mallopt(_ARENA_MAX, 1))
