"""Fault points: named places between two steps, at which a process can be told to kill itself. Off unless asked for.

The crash tests use them to hit what random times hardly ever do. `RETRAINER_FAULT_POINT` names one point,
`consumer.stored` or `consumer.stored:3` for the third time that it is reached; the process that reaches it dies by
SIGKILL, as nothing in it could ask for. With `RETRAINER_FAULT_MARK` that happens once: the file it names is made just
before, and where it is there already nobody dies. With `RETRAINER_FAULT_SIGNAL=SIGSTOP` it is stopped instead, until
somebody wakes it. All are read at import; without them a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from itertools import count
from pathlib import Path

POINT_VARIABLE = "RETRAINER_FAULT_POINT"
MARK_VARIABLE = "RETRAINER_FAULT_MARK"
SIGNAL_VARIABLE = "RETRAINER_FAULT_SIGNAL"


class Point(StrEnum):
    """Every fault point, in the order in which a change comes by it. The first part says in which process it is."""

    LEASE_TAKEN = "consumer.lease.taken"
    """This instance runs cycles, and does not know it yet."""
    LEASE_RENEWED = "consumer.lease.renewed"
    """The lease is renewed in the ledger; so it is, too, before a trainer may register."""
    PLACING = "consumer.placing"
    """Partitions are assigned and known to the ledger, and not yet sought to its offsets."""
    PLACED = "consumer.placed"
    """They are sought, and nothing of them is read yet."""
    POLLED = "consumer.polled"
    """A poll brought records."""
    STORING = "consumer.storing"
    """Inside the transaction: offsets, changes and dead letters are written and not committed."""
    STORED = "consumer.stored"
    """They are committed, and nobody knows it yet."""
    COMMITTED = "consumer.committed"
    """Kafka has the offsets, too."""
    CLAIM = "consumer.claim"
    """The trigger has said start; nothing is claimed."""
    CLAIMING = "consumer.claiming"
    """Inside the transaction of a claim."""
    CLAIMED = "consumer.claimed"
    """The cycle is claimed; no trainer knows of it."""
    REQUESTED = "consumer.requested"
    """The request file is written, and its path not given to the trainer."""
    GIVEN = "consumer.given"
    """The trainer has it."""
    PERMITTED = "consumer.permitted"
    """The trainer has the word that it may register."""
    RESULT = "consumer.result"
    """The result is read and not settled."""
    SETTLING = "consumer.settling"
    """Inside the transaction that settles a cycle."""
    SETTLED = "consumer.settled"
    """The cycle is settled; its folder is still there."""
    CLEARED = "consumer.cleared"
    """The folder is gone; the registry does not show the champion yet."""
    MIRRORED = "consumer.mirrored"
    """The registry shows the champion."""
    TELLING = "consumer.telling"
    """A model event is read from the outbox, and not sent."""
    TOLD = "consumer.told"
    """Its channel has it, and the ledger does not note that."""

    ENTERED = "trainer.entered"
    """The registry knows the cycle's token, and nothing is done."""
    READ_BEFORE = "trainer.read.before"
    READ_AFTER = "trainer.read.after"
    EMBED_BEFORE = "trainer.embed.before"
    EMBED_DIRTY = "trainer.embed.dirty"
    """Rows are marked dirty and their raw numbers written, their directions not."""
    EMBED_UNINDEXED = "trainer.embed.unindexed"
    """Rows are written whole, and the index does not know them."""
    LABELS_UNCOMMITTED = "trainer.labels.uncommitted"
    """Inside the transaction of the label book: changed labels are written and not committed."""
    EMBED_AFTER = "trainer.embed.after"
    PAIR_BEFORE = "trainer.pair.before"
    PAIR_HALF = "trainer.pair.half"
    """A part of the new graph is written, beside the one before."""
    PAIR_STORED = "trainer.pair.stored"
    """The new graph is on disk, and the rows that it took in are still dirty."""
    PAIR_UNFINISHED = "trainer.pair.unfinished"
    """The pairs are updated, and the space is not declared finished."""
    PAIR_APPLIED = "trainer.pair.applied"
    """The space knows that the cycle was applied to it, and is not declared finished."""
    PAIR_AFTER = "trainer.pair.after"
    BASE_BEFORE = "trainer.base.before"
    BASE_AFTER = "trainer.base.after"
    PROBE_BEFORE = "trainer.probe.before"
    PROBE_AFTER = "trainer.probe.after"
    FIT_BEFORE = "trainer.fit.before"
    FIT_AFTER = "trainer.fit.after"
    GATE_BEFORE = "trainer.gate.before"
    GATE_AFTER = "trainer.gate.after"
    PACKAGE_BEFORE = "trainer.package.before"
    PACKAGE_HALF = "trainer.package.half"
    """The model is staged; towers, reports and manifest are not."""
    PACKAGE_AFTER = "trainer.package.after"
    REGISTER_BEFORE = "trainer.register.before"
    REGISTER_PERMITTED = "trainer.register.permitted"
    """The consumer has said that the cycle may register."""
    REGISTER_COPIED = "trainer.register.copied"
    """The version lies in the registry under a name that no version has."""
    REGISTER_RENAMED = "trainer.register.renamed"
    """It has its number; the folder's entry may not be on disk."""
    REGISTER_AFTER = "trainer.register.after"
    ANSWERING = "trainer.answering"
    """The cycle has its result, and the result file is not written."""
    ANSWERED = "trainer.answered"
    """The result file is written, and the process has not ended."""

    PRUNE_MARKED = "prune.marked"
    """The ledger says of versions that they are deleted; they are all there."""
    PRUNE_RENAMED = "prune.renamed"
    """A version has left its place in the local registry, and its files are still there."""
    PRUNE_DELETED = "prune.deleted"
    """Versions are gone from the registry; the ledger does not know that they are."""


def reached(point: Point) -> None:
    """This process is at `point` now: nothing, unless the environment asked for its end, or a stop, here."""
    if point == _armed and next(_times) == _wanted and _marked():
        os.kill(os.getpid(), _signal)


def _marked() -> bool:
    """Leave the mark, if one is wanted; False where it is there already."""
    try:
        if _mark:
            Path(_mark).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


_armed, _, _number = os.environ.get(POINT_VARIABLE, "").partition(":")
_wanted = int(_number or 1)
_mark = os.environ.get(MARK_VARIABLE)
_signal = signal.Signals[os.environ.get(SIGNAL_VARIABLE, "SIGKILL")]
_times = count(1)
if _armed:
    Point(_armed)  # a misspelt name would never be reached
