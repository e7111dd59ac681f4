"""Settings of the vectors that are published after a promotion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from consumer.configuration.section import Section
from schemas.jobs.vectors import ENDINGS


class VectorSettings(Section):
    """Where every user's vectors are published after a promotion, and after each cycle that settles changes."""

    out: Path | None = Field(default=None, examples=["/srv/vectors"])
    """Folder for vector sets; None where nothing is published by itself."""
    feature_group: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,63}$")] | None = None
    """Feature group of the cluster, with an embedding index, that gets the vectors, too; None for none."""

    @field_validator("out")
    @classmethod
    def _is_a_folder(cls, out: Path | None) -> Path | None:
        if out is not None and out.suffix in ENDINGS:
            raise ValueError("names a file; sets that are switched need a folder")
        return None if out is None else out.absolute()

    @property
    def wanted(self) -> bool:
        """Whether anything is published by itself."""
        return self.out is not None or self.feature_group is not None
