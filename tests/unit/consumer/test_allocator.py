"""Whose C library is not glibc keeps its own. What glibc does is in tests/processes/memory/test_allocator.py."""

from __future__ import annotations

import ctypes

import pytest

from consumer.allocator import give_back_large_blocks


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert not give_back_large_blocks()
