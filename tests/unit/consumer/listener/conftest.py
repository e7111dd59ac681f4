"""A ledger, and the assigned partitions over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.ledger.ledger import Ledger, open_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()
