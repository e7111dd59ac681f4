"""A process that holds one version, model and vectors together, and answers queries by it and by nothing else.

To load a model takes seconds of Python, during which threads of the same process would hardly get to answer. So each
version has a process of its own, and the old one answers until the new one is ready.
"""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_READY_SECONDS = 300.0
_END_SECONDS = 5.0
_PATIENCE = 15  # a nice value, from 0 to 19


@dataclass(frozen=True, slots=True)
class Place:
    """Where versions and rows lie."""

    registry: Path
    """The folder of the model, with a folder for each version."""
    feature_store: Path


@dataclass(frozen=True, slots=True)
class Answer:
    """The users who are similar, the nearest first; None where the user is not known."""

    version: int
    similar: list[tuple[str, float]] | None


class NotLoadedError(Exception):
    """A version cannot be served; the message says why."""


class WorkerDiedError(Exception):
    """The process of a version has ended, which it does when it is told to, or when it was killed."""


class QueryFailedError(Exception):
    """A query cannot be answered."""


class Worker:
    """The process of one version. Any thread may ask.

    Raises:
        NotLoadedError: the version cannot be served.
    """

    def __init__(self, place: Place, version: int) -> None:
        context = get_context("spawn")  # a forked TensorFlow does not work
        self.version = version
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, place, version), daemon=True)
        self._process.start()
        theirs.close()
        self._turn = threading.Lock()
        self._users = 0
        self._idle = threading.Condition()
        problem = self._first_word()
        if problem is not None:
            self.close()
            raise NotLoadedError(f"version {version} cannot be served: {problem}")

    def hold(self) -> None:
        """Somebody is going to ask: until `release`, `retire` waits."""
        with self._idle:
            self._users += 1

    def release(self) -> None:
        """The end of a `hold`."""
        with self._idle:
            self._users -= 1
            self._idle.notify_all()

    def ask(self, user: str, count: int) -> Answer:
        """Who is similar to a user.

        Raises:
            WorkerDiedError: the process has ended.
            QueryFailedError: the query cannot be answered; the message says why.
        """
        try:
            with self._turn:
                self._ours.send((user, count))
                similar, problem = self._ours.recv()
        except (EOFError, OSError):
            raise WorkerDiedError(f"the process of version {self.version} has ended") from None
        if problem is not None:
            raise QueryFailedError(problem)
        return Answer(self.version, similar)

    def retire(self) -> None:
        """End the process once all that were asking have their answers."""
        with self._idle:
            self._idle.wait_for(lambda: self._users == 0)
        self.close()

    def close(self) -> None:
        """End the process."""
        self._ours.close()  # which it notices, as it would notice our death
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()

    def _first_word(self) -> str | None:
        try:
            if not self._ours.poll(_READY_SECONDS):
                return f"not ready after {_READY_SECONDS:.0f} s"
            word: str | None = self._ours.recv()
        except EOFError:
            return "its process died"
        return word


def _work(connection: Connection, place: Place, version: int) -> None:
    """The process: load, say that it is ready, answer until the other end is closed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends us
    try:
        with ThreadPoolExecutor(1, initializer=_with_patience) as loader:
            loaded = loader.submit(_Loaded, place, version).result()
        loaded.warm_up()
    except Exception as error:  # noqa: BLE001  (whatever it is, the one who asked has to know)
        connection.send(f"{type(error).__name__}: {error}")
        return
    connection.send(None)
    try:
        while True:
            user, count = connection.recv()
            answer: tuple[list[tuple[str, float]] | None, str | None]
            try:
                answer = loaded.similar(user, count), None
            except Exception as error:  # noqa: BLE001  (one query fails, the next may not)
                answer = None, f"{type(error).__name__}: {error}"
            connection.send(answer)
    except (EOFError, OSError):
        return  # nobody asks any more


def _with_patience() -> None:
    """Give this thread what the others leave of the processor: the old version has to answer meanwhile.

    On Linux each thread has a priority of its own. Who has given it away may not take it back, so the thread that will
    answer is another.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PATIENCE)


class _Loaded:
    """Query tower and candidate vectors of one version."""

    def __init__(self, place: Place, version: int) -> None:
        import keras
        import numpy as np
        import tensorflow as tf

        from examples.serving.vectors import check_together, computed
        from schemas.manifest import MANIFEST_FILE, ModelManifest
        from stores.features.local import LocalFeatureStore

        tf.config.threading.set_intra_op_parallelism_threads(1)  # others have to answer meanwhile
        tf.config.threading.set_inter_op_parallelism_threads(1)
        folder = place.registry / str(version)
        manifest = ModelManifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
        self._group = manifest.feature_group
        self._store = LocalFeatureStore(place.feature_store, self._group)
        towers = {name: keras.models.load_model(folder / f"{name}_tower.keras") for name in ("query", "candidate")}
        wanted = tf.TensorSpec((None, self._group.width), tf.float32)
        query = towers["query"]
        self._embed: Any = tf.function(lambda raw: query(raw, training=False), input_signature=[wanted])
        self._vectors = computed(version, towers["candidate"], self._group, place.feature_store)
        check_together(version, manifest.index_compatible_with, self._vectors)
        self._embed(np.zeros((1, self._group.width), np.float32))  # traces it

    def warm_up(self) -> None:
        """Answer once, in the thread that will answer, so that the first to ask waits for nothing."""
        for user in self._vectors.users[:1]:
            self.similar(user, 1)

    def similar(self, user: str, count: int) -> list[tuple[str, float]] | None:
        """The nearest others by the user's row of today; None where there is no such user."""
        from stores.features.checks import check_rows

        rows = check_rows(self._group, self._store.read([user]))
        if not rows.keys:
            return None
        query = self._embed(rows.raw).numpy()[0]
        return [(other, cosine) for other, cosine in self._vectors.nearest(query, count + 1) if other != user][:count]
