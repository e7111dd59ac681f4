"""What a worker of pytest-xdist tells the run can be sent: half of a surrogate pair, which is no UTF-8, is spelt out.

Logs and prints that a test captured are sent with its report, so one that tries hostile text would end its worker, and
with it the whole run, although it passed.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from typing import Any

import pytest


def sendable(told: Any) -> Any:
    """The same, of lists, tuples and dicts too, with `\\udc80` and the like spelt out in every text."""
    if isinstance(told, str):
        return told.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(told, dict):
        return {sendable(name): sendable(value) for name, value in told.items()}
    if isinstance(told, list):
        return [sendable(one) for one in told]
    return tuple(sendable(one) for one in told) if type(told) is tuple else told


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    return sendable((yield))


@pytest.hookimpl(tryfirst=True)
def pytest_warning_recorded(warning_message: warnings.WarningMessage) -> None:
    text = str(warning_message.message)
    if sendable(text) != text:
        warning_message.message = warning_message.category(sendable(text))
