"""A ledger on each engine, and the token of whoever runs its cycles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumer.ledger.ledger import Ledger, open_ledger
from tests.contract.ledgers import take


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def fence(ledger: Ledger) -> int:
    """The token of whoever runs the cycles of these tests."""
    return take(ledger)
