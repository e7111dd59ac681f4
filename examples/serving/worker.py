"""A process that holds a model and its vectors, and answers queries by them and by nothing else.

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
from typing import Any

from examples.serving.served import Place, Served

_READY_SECONDS = 300.0
_END_SECONDS = 5.0
_PATIENCE = 15  # a nice value, from 0 to 19


@dataclass(frozen=True, slots=True)
class Answer:
    """The users who are similar, the nearest first; None where the user is not known."""

    served: Served
    similar: list[tuple[str, float]] | None


class NotLoadedError(Exception):
    """A version cannot be served; the message says why."""


class WorkerDiedError(Exception):
    """The process of a version has ended, which it does when it is told to, or when it was killed."""


class QueryFailedError(Exception):
    """A query cannot be answered."""


class Worker:
    """The process of one version, with the vectors of today. Any thread may ask.

    Attributes:
        served: what it serves by; with vector sets the one that counted when it was loaded.

    Raises:
        NotLoadedError: the version cannot be served, or not with the vectors that are there.
    """

    def __init__(self, place: Place, version: int) -> None:
        context = get_context("spawn")  # a forked TensorFlow does not work
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, place, version), daemon=True)
        self._process.start()
        theirs.close()
        self._turn = threading.Lock()
        self._users = 0
        self._idle = threading.Condition()
        word = self._first_word()
        if isinstance(word, str):
            self.close()
            raise NotLoadedError(f"version {version} cannot be served: {word}")
        self.served = word

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
            raise WorkerDiedError(f"the process of version {self.served.version} has ended") from None
        if problem is not None:
            raise QueryFailedError(problem)
        return Answer(self.served, similar)

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

    def _first_word(self) -> Served | str:
        """What is served, or the problem."""
        try:
            if not self._ours.poll(_READY_SECONDS):
                return f"not ready after {_READY_SECONDS:.0f} s"
            word: Served | str = self._ours.recv()
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
    connection.send(loaded.served)
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
    """Query tower and candidate vectors that belong together, for as long as the process lives."""

    def __init__(self, place: Place, version: int) -> None:
        import keras
        import numpy as np
        import tensorflow as tf

        from examples.serving.matching import manifest_of, together
        from examples.serving.vectors import computed, published
        from schemas.manifest import CANDIDATE_TOWER_FILE, QUERY_TOWER_FILE
        from stores.features.local import LocalFeatureStore
        from stores.vectors.together import origin_of

        tf.config.threading.set_intra_op_parallelism_threads(1)  # others have to answer meanwhile
        tf.config.threading.set_inter_op_parallelism_threads(1)
        folder = place.registry / str(version)
        manifest = manifest_of(place, version)
        origin = origin_of(version, manifest)
        self._group = manifest.feature_group
        self._store = LocalFeatureStore(place.feature_store, self._group)
        if place.vectors is None:
            candidate = keras.models.load_model(folder / CANDIDATE_TOWER_FILE)
            self._vectors = computed(origin, candidate, self._group, place.feature_store)
        else:
            self._vectors = published(place.vectors)
        self.served = together(origin, self._vectors.origin, self._vectors.set)
        query = keras.models.load_model(folder / QUERY_TOWER_FILE)
        wanted = tf.TensorSpec((None, self._group.width), tf.float32)
        self._embed: Any = tf.function(lambda raw: query(raw, training=False), input_signature=[wanted])
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
