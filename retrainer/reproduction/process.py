"""The process that trains a version again: `python -m trainer.reproduction`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable

from pydantic import ValidationError

from consumer.cycles.warm_trainer import trainer_environment
from consumer.settings import Settings
from schemas.cycle import Progress
from schemas.errors import RetrainerError
from schemas.jobs.reproduction import Reproduction, ReproductionRequest


class NotReproduced(RetrainerError):  # noqa: N818
    """The version could not be trained again; the message says what is missing.

    With `claim_unknown` that is what its cycle had claimed, which the version does not tell.
    """

    def __init__(self, message: str, *, claim_unknown: bool = False) -> None:
        super().__init__(message)
        self.claim_unknown = claim_unknown


def run(settings: Settings, request: ReproductionRequest, heard: Callable[[Progress], None]) -> Reproduction:
    """Have the version trained again; `heard` gets each line of progress.

    Raises:
        NotReproduced: the process ended without an answer, or says why it cannot.
    """
    command = [sys.executable, "-m", "trainer.reproduction"]
    with (
        tempfile.TemporaryFile("w+") as words,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            env=trainer_environment(settings),
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request.model_dump_json())
        process.stdin.close()
        answer = None
        for line in process.stdout:
            try:
                heard(Progress.model_validate_json(line))
            except ValidationError:
                answer = json.loads(line)
        code = process.wait()
        if answer is None:
            words.seek(0)
            last = "".join(words.read().strip().splitlines()[-1:])
            raise NotReproduced(f"the process that trains again ended with code {code} and no answer: {last}")
    if "error" in answer:
        raise NotReproduced(answer["error"], claim_unknown=answer["claim_unknown"])
    return Reproduction.model_validate(answer["reproduction"])
