"""The unit of a record's time is recognised, and the time that it means comes of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.decoding import decoder, to_batch
from consumer.positions import Partition
from consumer.record_times import seconds_of, unit_of
from schemas.events import encode
from schemas.features import FeatureGroup
from tests.unit.consumer.test_decoding import Fetched

MOMENTS = st.integers(1_262_304_000, 4_102_444_799)  # from 2010 to 2099
UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


@given(MOMENTS, st.sampled_from(sorted(UNITS)))
def test_a_time_of_our_years_is_known_in_every_unit(moment: int, unit: str) -> None:
    timestamp = moment * UNITS[unit]
    assert unit_of(timestamp) == (None if unit == "milliseconds" else unit)
    assert seconds_of(timestamp) == moment


@given(st.integers(-(2**63), 2**63 - 1))
def test_whatever_a_producer_writes_means_one_time_or_none(timestamp: int) -> None:
    found = seconds_of(timestamp)
    assert found is None or 0 < found < 253_402_300_800
    if found is not None:
        datetime.fromtimestamp(found, UTC)


@pytest.mark.parametrize(("timestamp", "seconds"), [(-1, None), (0, None), (5_000, 5.0), (2**62, 2**62 / 10**9)])
def test_times_that_no_unit_explains_are_milliseconds_or_none(timestamp: int, seconds: float | None) -> None:
    assert seconds_of(timestamp) == seconds if timestamp != 2**62 else seconds_of(timestamp) is None


def test_ages_are_right_whatever_the_unit_and_the_odd_ones_are_counted() -> None:
    now, place, decode = time.time(), Partition("t", 0), {"t": decoder("notification", FeatureGroup(id=13))}
    for unit, factor in UNITS.items():
        records = [Fetched(n, encode(FeatureGroup(id=13), f"u{n}"), timestamp=int(now * factor)) for n in range(3)]
        batch = to_batch(decode, {place: records}, {place: 0}, now + 5)
        assert all(abs(change.first_event_at - now) < 1 for change in batch.users.values()), unit
        assert batch.units == ({} if unit == "milliseconds" else {("t", unit): 3})
    (change,) = to_batch(
        decode, {place: [Fetched(0, encode(FeatureGroup(id=13), "u"), timestamp=-1)]}, {place: 0}, now
    ).users.values()
    assert change.first_event_at == now
