"""Mining and the fit on a GPU, against the processor of the same machine: measured where there is one, else nowhere.

    python -m benchmarks --only pairs.gpu --keep       # on a machine with a GPU: `make bench` runs it, too

The notes name the card.
"""

from __future__ import annotations

import time
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from benchmarks.data import absent, data_sets
from benchmarks.fits.fit import full_fit
from benchmarks.listeners import listeners
from benchmarks.ours import DEFAULT_CAP, Maintained, policy
from benchmarks.peers import same_lists
from benchmarks.rows import NotMeasured, ResultsDifferError, Row, Setup, faster
from benchmarks.timing import fastest_of, in_turns
from schemas.engine import Device
from trainer.device import settle
from trainer.errors import NoDevice
from trainer.pairs.hardware import accelerator, processor_precisions
from trainer.pairs.precision import Precision

MINING, FIT = "pairs.gpu", "fit.gpu"
_PEER = "the processor of the same machine"


def on_gpu(setup: Setup) -> list[Row]:
    """Everybody mined, and a full training, by the card and by the processor; the pairs have to be the same."""
    card = _card()
    rows = [*_mined(setup, card), _fitted(setup, card)]
    return [replace(rows[0], name=MINING, note=f"{card}; the first of {len(rows) - 1} data sets{absent(setup)}"), *rows]


def _card() -> str:
    """The GPU's name.

    Raises:
        NotMeasured: there is none, or it errs.
    """
    try:
        card = settle(Device.GPU)
    except NoDevice:
        raise NotMeasured("no GPU here") from None
    if accelerator() is None:
        raise NotMeasured(f"products of {card} are not within the error of TF32")
    return str(card)


def _mined(setup: Setup, card: str) -> list[Row]:
    users = setup.size(50_000, 2_000)
    sample = np.random.default_rng(0).choice(users, size=setup.size(500, 50), replace=False)
    rows = []
    for data in data_sets(setup, users, 0):
        rule = policy(data.threshold, DEFAULT_CAP)
        by_card = Maintained(data.directions, rule, precisions=(Precision.TF32,))
        by_processor = Maintained(data.directions, rule, precisions=processor_precisions())
        by_card.mine_all()  # also warm: the first product of a process loads the card's libraries
        by_processor.mine_all()
        same_lists(data.directions, by_card.lists(), sample, data.threshold, DEFAULT_CAP)
        if not np.array_equal(by_card.pairs(), by_processor.pairs()):
            raise ResultsDifferError(f"{card} and the processor do not mine the same pairs of {data.name}")
        mine, theirs = in_turns(by_card.mine_all, by_processor.mine_all, setup.size(3, 1))
        note = f"{card}; {data.note}; pairs compared, {len(sample)} lists checked; {fastest_of(mine, theirs)}"
        rows.append(faster(f"{MINING}.{data.name}", mine.median, _PEER, theirs.median, least=1, note=note))
    return rows


def _fitted(setup: Setup, card: str) -> Row:
    """A full training on either, in turns, as a cycle does it."""
    users = listeners(setup)

    def train(device: str) -> float:
        keras.utils.set_random_seed(0)
        with tf.device(device):
            start = time.perf_counter()
            full_fit(users)
            return time.perf_counter() - start

    train("/GPU:0")  # warm
    taken = [(train("/GPU:0"), train("/CPU:0")) for _ in range(setup.size(3, 1))]
    ours, theirs = np.median(taken, axis=0)
    note = f"{card}; {users.name}; full training, with determinism and without TF32, median of {len(taken)} in turns"
    return faster(FIT, float(ours), _PEER, float(theirs), least=1, note=note)
