"""Settings of the export for TensorFlow Serving."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from consumer.configuration.section import Section


class ExportSettings(Section):
    """Where each champion is written for TensorFlow Serving."""

    out: Path | None = Field(default=None, examples=["/srv/models"])
    """Folder of the models that TensorFlow Serving watches: each champion becomes the highest version there, also after
    a rollback. None for none."""
    keep: Annotated[int, Field(ge=0)] = 2
    """How many versions below the champion stay in the folder."""
