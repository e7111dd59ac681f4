"""Asks the trainer room about one user, in a process of its own: models take seconds and hundreds of MB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from consumer.environment import for_child
from consumer.errors import ConsumerError
from consumer.settings import Settings
from schemas.jobs.explanation import ExplainRequest, Explanation


class NoAnswer(ConsumerError):  # noqa: N818
    """The process gave no answer."""


def published(settings: Settings) -> tuple[Path, ...]:
    """The folders in which vectors of users are published, where there are any."""
    out = settings.vectors.out
    return () if out is None else (out,)


def ask(settings: Settings, request: ExplainRequest) -> Explanation:
    """The answer of `trainer.explain`.

    Raises:
        NoAnswer: there is none, and the message says why.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "trainer.explain"],
        input=request.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
        env=for_child(os.environ, cluster=settings.hopsworks is not None, also=settings.trainer.environment),
    )
    if ended.returncode == 0:
        return Explanation.model_validate_json(ended.stdout)
    try:
        why = str(json.loads(ended.stdout)["error"])
    except (ValueError, KeyError, TypeError):
        last = ended.stderr.strip().splitlines()[-1:]
        why = ": ".join([f"the process ended with code {ended.returncode}", *last])
    raise NoAnswer(f"nearest users and traces are not known: {why}")
