"""One suite for all that multiplies short rows: on the processor, and by TensorFlow on whatever device there is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.policies import PairPolicy
from stores.feature_store import Floats
from tests.models.pairs.test_graph import KINDS, THRESHOLD, bounds_of, low_rank, random_axes, rows_of
from tests.models.pairs.test_mining import view_of
from tests.models.pairs.test_precision import unit
from trainer.matrix.embeddings import Rows
from trainer.pairs import filters, mining
from trainer.pairs.bounds import Bounds, Projection
from trainer.pairs.filters import DeviceFilter, DeviceRows, Filter, ProcessorFilter, TooManyError, tensor_cores
from trainer.pairs.hardware import accelerator
from trainer.pairs.links import Links
from trainer.pairs.mining import mine_nearest, mine_similar
from trainer.pairs.precision import Precision

PART = 16  # rows
NOBODY = np.empty(0, np.int64)
MANY = 10**9
GPU = pytest.param("/GPU:0", marks=pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="no GPU here"))


@dataclass
class Kind:
    """A filter to be made."""

    precision: Precision
    device: str | None = None

    def __call__(self, bounds: Bounds, line: float) -> Filter:
        if self.device is None:
            return ProcessorFilter(bounds, line, 8, PART)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(filters, "_COLUMNS_ON_DEVICE", PART)
            return DeviceFilter(DeviceRows(bounds, self.device), line)


@pytest.fixture(params=[*Precision, "/CPU:0", GPU], ids=str)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """Of a device TF32 is let loose, as mining does."""
    if isinstance(request.param, Precision):
        yield Kind(request.param)
        return
    with tensor_cores():
        yield Kind(Precision.TF32, request.param)


def own_of(block: Rows, start: int, part: int) -> tuple[Rows, Rows]:
    own = np.flatnonzero((block >= start) & (block < start + part))
    return own, block[own] - start


def check(filter_of: Callable[[Bounds, float], Filter], bounds: Bounds, directions: Floats, line: float) -> None:
    """A block of eight rows against every part."""
    block = np.arange(len(directions))[::-3][:8].copy()
    found_by = filter_of(bounds, line)
    assert found_by.columns == PART
    loaded = bounds.precision.load(bounds.short).astype(np.float64)
    error = bounds.precision.error(bounds.short.shape[1])
    for start in range(0, len(directions), PART):
        part = min(PART, len(directions) - start)
        own = own_of(block, start, part)
        true = loaded[block] @ loaded[start : start + part].T
        at, found = found_by.above(bounds.short[block], own, start, MANY)
        assert (np.diff(at) > 0).all()
        assert found.dtype == np.float32
        assert np.abs(found - true.reshape(-1)[at]).max(initial=0.0) <= error
        above = true > line + error
        above[own] = False
        assert set(np.flatnonzero(above)) <= set(at.tolist())
        assert not set(at.tolist()) & set((own[0] * part + own[1]).tolist())
        wide = (true > line - 2 * error - 2.0**-7).reshape(-1)  # a line of bfloat16 is a step too low
        assert wide[at].all()


@given(
    seed=st.integers(0, 2**16),
    count=st.integers(1, 3 * PART),
    width=st.integers(1, 40),
    line=st.floats(0.02, 0.999),
)
@settings(max_examples=50, deadline=None)
def test_what_is_above_the_line_is_found_in_order_and_within_the_error(
    seed: int, count: int, width: int, line: float
) -> None:
    rows = unit(np.random.default_rng(seed).normal(1, 1, size=(count, width)))
    for each in [*(Kind(precision) for precision in Precision), Kind(Precision.TF32, "/CPU:0")]:
        check(each, bounds_of(rows, Projection.whole(width, each.precision)), rows, line)


@pytest.mark.parametrize("rows_are", KINDS)
@pytest.mark.parametrize("kept", [2, 6])
def test_it_finds_them_whatever_the_rows_are(kind: Kind, rows_are: str, kept: int) -> None:
    rows = rows_of(rows_are, 5, 2 * PART + 3)
    bounds = bounds_of(rows, Projection(random_axes(0, 6, kept), kind.precision))
    for line in (0.05, THRESHOLD, 0.9999):
        check(kind, bounds, rows, line)


def test_there_is_room_for_as_many_as_was_said_and_always_for_one_row(kind: Kind) -> None:
    rows = np.tile(np.eye(1, 6, dtype=np.float32), (PART, 1))
    bounds = bounds_of(rows, Projection.whole(6, kind.precision))
    found_by, block = kind(bounds, 0.5), np.arange(8)
    own = own_of(block, 0, PART)
    every = 8 * PART - 8  # nobody is counted as a neighbour of their own
    at, _ = found_by.above(bounds.short[block], own, 0, every)
    assert len(at) == every
    with pytest.raises(TooManyError):
        found_by.above(bounds.short[block], own, 0, every - 1)
    at, _ = found_by.above(bounds.short[:1], own_of(block[:1], 0, PART), 0, 0)
    assert len(at) == PART - 1


def test_own_rows_that_are_below_the_line_are_no_room_for_others(kind: Kind) -> None:
    """Rows without a direction are not similar to themselves, so they may not be taken off what is counted."""
    rows = np.tile(np.eye(1, 6, dtype=np.float32), (PART, 1))
    rows[:4] = 0.0
    bounds = bounds_of(rows, Projection.whole(6, kind.precision))
    found_by, block = kind(bounds, 0.5), np.arange(8)
    own, there = own_of(block, 0, PART), 4 * (PART - 4) - 4
    assert len(found_by.above(bounds.short[block], own, 0, there)[0]) == there
    with pytest.raises(TooManyError):
        found_by.above(bounds.short[block], own, 0, there - 1)


def test_nothing_above_the_line_is_nothing(kind: Kind) -> None:
    rows = np.eye(6, dtype=np.float32)
    bounds = bounds_of(rows, Projection.whole(6, kind.precision))
    at, found = kind(bounds, 0.5).above(bounds.short[:3], own_of(np.arange(3), 0, 6), 0, 0)
    assert (len(at), len(found)) == (0, 0)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16])
def test_a_device_takes_rows_of_tf32_alone(precision: Precision) -> None:
    """A GPU may round float32 to TF32, and then a bound of float32 is none."""
    rows = np.eye(6, dtype=np.float32)
    with pytest.raises(ValueError, match=rf"{precision} are not multiplied on /CPU:0"):
        DeviceRows(bounds_of(rows, Projection.whole(6, precision)), "/CPU:0")


@pytest.mark.parametrize("error", [tf.errors.ResourceExhaustedError, tf.errors.InternalError])
def test_a_device_without_memory_for_a_product_is_given_smaller_blocks(
    monkeypatch: pytest.MonkeyPatch, error: type[tf.errors.OpError]
) -> None:
    """What is copied to a full card, such as the rows of a block, ends with another error than what it computes."""
    rows = np.eye(6, dtype=np.float32)
    bounds = bounds_of(rows, Projection.whole(6, Precision.TF32))
    found_by = DeviceFilter(DeviceRows(bounds, "/CPU:0"), 0.5)

    def none_left(*_: object) -> None:
        raise error(None, None, "out of memory")

    monkeypatch.setattr(DeviceRows, "above", none_left)
    with pytest.raises(TooManyError):
        found_by.above(bounds.short[:2], (NOBODY, NOBODY), 0, MANY)
    with pytest.raises(error):
        found_by.above(bounds.short[:1], (NOBODY, NOBODY), 0, MANY)


def test_tf32_is_let_loose_for_mining_alone() -> None:
    switch = tf.config.experimental
    before = switch.tensor_float_32_execution_enabled()
    try:
        for usual in (False, True):
            switch.enable_tensor_float_32_execution(usual)
            with tensor_cores():
                assert switch.tensor_float_32_execution_enabled()
            assert switch.tensor_float_32_execution_enabled() is usual
    finally:
        switch.enable_tensor_float_32_execution(before)


@pytest.fixture
def on_a_device(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Mining finds a device that is worth its while, in parts of a few hundred rows; the list says where rows went."""
    made: list[str] = []

    def placed(bounds: Bounds, device: str) -> DeviceRows:
        made.append(device)
        return DeviceRows(bounds, device)

    monkeypatch.setattr(mining, "accelerator", lambda: "/CPU:0")
    monkeypatch.setattr(mining, "DeviceRows", placed)
    monkeypatch.setattr(mining, "_WORTH_A_DEVICE", 1)
    monkeypatch.setattr(mining, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(filters, "_COLUMNS_ON_DEVICE", 300)
    return made


@pytest.mark.parametrize("kept", [None, 5])
@pytest.mark.parametrize("megabytes", [1, 16])
def test_mined_on_a_device_are_the_pairs_of_the_processor(
    on_a_device: list[str], kept: int | None, megabytes: int
) -> None:
    """The same rows, target by target and bit by bit, also where blocks have to be halved."""
    directions = low_rank(1, 700, 24, 4)
    policy = PairPolicy(similarity_threshold=0.6, threads=2, block_megabytes=megabytes)
    everyone, floor = np.arange(700), np.full(700, 0.7)
    found: dict[Precision, tuple[set[Any], ...]] = {}
    for precision in (Precision.FLOAT32, Precision.TF32):
        view = view_of(directions, kept, precision)
        similar = [pair for _, pair in mine_similar(view, everyone, policy)]
        nearest = [links for _, links in mine_nearest(view, everyone, policy, 20, floor)]
        assert on_a_device == (["/CPU:0"] * 2 if precision is Precision.TF32 else [])
        pairs = {pair for source, target in similar for pair in zip(source.tolist(), target.tolist(), strict=True)}
        found[precision] = pairs, *(told(Links.join([each[at] for each in nearest])) for at in (0, 1))
    assert found[Precision.FLOAT32] == found[Precision.TF32]
    assert len(found[Precision.TF32][0]) > 1000


def told(links: Links) -> set[tuple[int, int, float]]:
    return set(zip(links.source.tolist(), links.target.tolist(), links.similarity.tolist(), strict=True))


@pytest.mark.parametrize("why", ["no device", "few rows", "no memory", "no copy"])
def test_the_processor_multiplies_the_same_rows_where_a_device_does_not(
    on_a_device: list[str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "no device":
        monkeypatch.setattr(mining, "accelerator", lambda: None)
    elif why == "few rows":
        monkeypatch.setattr(mining, "_WORTH_A_DEVICE", 101)
    else:

        def none_left(bounds: Bounds, device: str) -> DeviceRows:
            error = tf.errors.ResourceExhaustedError if why == "no memory" else tf.errors.InternalError
            raise error(None, None, f"no memory on {device} for {len(bounds.short)} rows")

        monkeypatch.setattr(mining, "DeviceRows", none_left)
    view, policy = view_of(low_rank(1, 300, 24, 4), None, Precision.TF32), PairPolicy(similarity_threshold=0.6)
    found = sum(len(source) for _, (source, _) in mine_similar(view, np.arange(100), policy))
    assert on_a_device == []
    plain = view_of(view.directions, None, Precision.FLOAT32)
    assert found == sum(len(source) for _, (source, _) in mine_similar(plain, np.arange(100), policy)) > 0


def test_without_tensorflow_rows_of_tf32_are_mined_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a task of Ray, which has no GPU."""
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(mining, "_WORTH_A_DEVICE", 1)
    monkeypatch.setattr(mining, "_WORTH_A_THREAD", 1)
    accelerator.cache_clear()
    view, policy = view_of(low_rank(1, 300, 24, 4), None, Precision.TF32), PairPolicy(similarity_threshold=0.6)
    assert sum(len(source) for _, (source, _) in mine_similar(view, np.arange(100), policy)) > 0
    accelerator.cache_clear()
