"""Questions to a Hopsworks cluster, or to a model registry, asked by a process of their own: the SDK takes seconds and
hundreds of MB."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

from consumer.environment import for_child
from consumer.errors import ConsumerError
from consumer.settings import Settings

_ANSWERS_WITHIN = 180.0


class ClusterTrouble(ConsumerError):  # noqa: N818
    """The cluster did not do what it was asked for; `again` says whether another try may help."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


def ask_cluster(settings: Settings, question: str, detail: str, within: float = math.inf) -> Any:
    """The answer to a question of `stores.__main__`, `within` so many seconds at most.

    Raises:
        ClusterTrouble: there is no answer.
    """
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "stores", question, detail],
            input=settings.for_trainer().model_dump_json(),
            capture_output=True,
            text=True,
            check=False,
            env=for_child(os.environ, cluster=settings.hopsworks is not None, also=settings.trainer.environment),
            timeout=(limit := min(_ANSWERS_WITHIN, within)),
        )
    except subprocess.TimeoutExpired:
        raise ClusterTrouble(f"no answer to '{question}' within {limit:.0f} s", again=True) from None
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        last = ended.stderr.strip().splitlines()[-1:]
        raise ClusterTrouble(f"'{question}' ended with code {ended.returncode}: {last}", again=True) from None
    if "error" in answer:
        raise ClusterTrouble(answer["error"], again=answer["again"])
    return next(iter(answer.values()))
