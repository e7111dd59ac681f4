"""With which precisions a machine multiplies fast: tried once, refused where it errs, and none without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow  # multiplies bfloat16
from numpy.typing import NDArray

from trainer.pairs import hardware as module
from trainer.pairs import precision as multiplying
from trainer.pairs.filters import DeviceRows
from trainer.pairs.hardware import accelerator, fast_precisions, multiplies_right, processor_precisions
from trainer.pairs.precision import Precision, Stored

FINE, TENSOR, COARSE = Precision.FLOAT32, Precision.TF32, Precision.BFLOAT16


@pytest.fixture
def afresh() -> Iterator[None]:
    """What the machine is fast with is found out once; here each time."""
    processor_precisions.cache_clear()
    accelerator.cache_clear()
    yield
    processor_precisions.cache_clear()
    accelerator.cache_clear()


def timed(monkeypatch: pytest.MonkeyPatch, fine: float, rough: float) -> list[float]:
    """Let products take so long."""
    times: list[float] = []

    def seconds(run: Callable[[], object]) -> float:
        run()
        times.append((fine, rough)[len(times)])
        return times[-1]

    monkeypatch.setattr(module, "_seconds", seconds)
    return times


@pytest.mark.usefixtures("afresh")
def test_without_tensorflow_there_is_float32_and_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tensorflow")
    times = timed(monkeypatch, 1.0, 0.1)
    assert fast_precisions() == (FINE,)
    assert times == []


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize("error", [tensorflow.errors.ResourceExhaustedError, tensorflow.errors.InternalError])
def test_a_card_that_others_have_filled_is_none(
    monkeypatch: pytest.MonkeyPatch, error: type[tensorflow.errors.OpError]
) -> None:
    monkeypatch.setattr(tensorflow.config, "get_visible_devices", lambda _kind: ["a card"])

    def full(_device: str) -> bool:
        raise error(None, None, "Dst tensor is not initialized")

    monkeypatch.setattr(module, "multiplies_right", full)
    assert accelerator() is None


def test_pairs_do_not_import_tensorflow() -> None:
    code = (
        "import sys, numpy as np; from trainer.pairs import generate_pairs;"
        "from trainer.pairs.hardware import fast_precisions;"
        "pairs, labels = generate_pairs(np.eye(9)[[0, 0, 1, 2, 3]]); assert labels.tolist() == [1, 0], labels;"
        "assert 'tensorflow' not in sys.modules; print(*fast_precisions())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["float32"]


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize(
    ("fine", "rough", "faster"), [(1.0, 0.3, True), (1.0, 0.7, True), (1.0, 0.8, False), (1, 2, False)]
)
def test_coarse_numbers_are_offered_where_they_are_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, fine: float, rough: float, faster: bool
) -> None:
    times = timed(monkeypatch, fine, rough)
    assert fast_precisions() == ((FINE, COARSE) if faster else (FINE,))
    assert times == [fine, rough]
    assert fast_precisions() == ((FINE, COARSE) if faster else (FINE,))
    assert times == [fine, rough]  # asked once


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize("wrong", ["a little too much", "a little too little", "one product", "not a number"])
def test_coarse_numbers_whose_products_are_not_within_their_error_are_refused(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """As on a machine that sums up in bfloat16."""
    right_one = multiplying._product_of_bfloat16

    def broken(left: Stored, right: Stored) -> NDArray[Any]:
        found = COARSE.read(right_one(left, right)).copy()
        off = 2 * COARSE.error(96)
        if wrong == "one product":
            found[-1, -1] += off
        elif wrong == "not a number":
            found[3, 5] = np.nan
        else:
            found += off if wrong == "a little too much" else -off
        return COARSE.store(found).view(np.int16)

    timed(monkeypatch, 1.0, 0.1)
    monkeypatch.setattr(multiplying, "_product_of_bfloat16", broken)
    assert fast_precisions() == (FINE,)


def test_the_shortest_of_three_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 10.0, 11.0, 20.0, 23.0])
    monkeypatch.setattr("trainer.pairs.hardware.time.perf_counter", lambda: next(clock))
    ran: list[int] = []
    assert module._seconds(lambda: ran.append(1)) == 1.0
    assert len(ran) == 3


class Visible:
    """A TensorFlow that may use so many GPUs."""

    def __init__(self, gpus: int) -> None:
        self.config = self
        self.get_visible_devices = lambda kind: [kind] * gpus


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize(("gpus", "right", "found"), [(0, True, None), (1, True, "/GPU:0"), (1, False, None)])
def test_a_gpu_multiplies_where_there_is_one_and_it_errs_no_more_than_is_said(
    monkeypatch: pytest.MonkeyPatch, gpus: int, right: bool, found: str | None
) -> None:
    timed(monkeypatch, 1.0, 2.0)
    real = sys.modules["tensorflow"]
    asked: list[str] = []

    def tried(device: str) -> bool:
        asked.append(device)
        return right

    monkeypatch.setattr(module, "multiplies_right", tried)
    monkeypatch.setitem(sys.modules, "tensorflow", Visible(gpus))
    assert accelerator() == found
    assert accelerator() == found
    assert asked == ["/GPU:0"] * gpus  # tried once
    monkeypatch.setitem(sys.modules, "tensorflow", real)
    assert fast_precisions() == ((TENSOR,) if found else (FINE,))
    assert processor_precisions() == (FINE,)


@pytest.mark.usefixtures("afresh")
def test_without_tensorflow_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert accelerator() is None


@pytest.mark.parametrize("wrong", [None, "a little too much", "one product", "not a number"])
def test_a_device_is_tried_against_exact_products(monkeypatch: pytest.MonkeyPatch, wrong: str | None) -> None:
    def gathered(rows: DeviceRows, product: Any, above: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        at, found = right_one(rows, product, above)
        found = found.copy()
        off = 2 * TENSOR.error(96)
        if wrong == "not a number":
            return at[1:], found[1:]  # it is above no line
        if wrong == "one product":
            found[-1] -= off
        elif wrong is not None:
            found += off
        return at, found

    right_one = DeviceRows.gathered
    monkeypatch.setattr(DeviceRows, "gathered", gathered)
    assert multiplies_right("/CPU:0") is (wrong is None)
