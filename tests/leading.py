"""The lease for running cycles, for tests that claim and settle."""

from __future__ import annotations

import time

from consumer.cycles.leadership import Leadership
from consumer.ledger.ledger import Ledger


def leading(ledger: Ledger, name: str = "here") -> Leadership:
    """The lease, held by whoever comes last: all come as the same instance unless they have names."""
    leadership = Leadership(ledger.leases, name, 15.0)
    assert leadership.holds(time.time())
    return leadership
