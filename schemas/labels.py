"""The label group: what users did with one another, which a model can learn beside what they are like."""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.base import Policy

PairKey = tuple[str, str]
"""The user and the other user; the key of a label."""

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LabelGroup(Policy):
    """A feature group of pair labels, keyed by two users.

    `id` and `feature_store_id` tell its events from others on a shared topic, as those of the feature group do.
    """

    name: str = "spotify_user_pair_labels"
    """Name of the label group."""
    version: Annotated[int, Field(ge=1)] = 1
    """Version of the label group."""
    id: int | None = None
    """Id of the label group in its feature store; a cluster is asked for the id where none is set."""
    feature_store_id: int | None = None
    """Id of the feature store; a cluster is asked for the id where none is set."""
    user_key: str = "user_id"
    """Column of the user who did something."""
    other_key: str = "other_user_id"
    """Column of the user to whom it was done."""
    label: str = "label"
    """The column that says what the user did: 1 similar, 0 not, or one of `words`."""
    weight: str | None = None
    """The column of how much a label counts; None where each counts 1."""
    labelled_at: str = "labelled_at"
    """The column of when it was done, the event time: of two labels that contradict each other the later one counts."""
    words: dict[str, bool] = {"follow": True, "accept": True, "dismiss": False, "block": False}
    """Whether the two are similar, by what the label column may say; compared without regard to case."""
    directed: bool = False
    """Whether (a, b) and (b, a) are different labels, and the towers may differ."""
    max_waiting: Annotated[int, Field(ge=0)] = 100_000
    """Labels of users who are not known yet that are kept for when they are; of more the oldest are set aside."""

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [self.user_key, self.other_key, self.label, self.labelled_at]
        names += [self.weight] if self.weight is not None else []
        if len(set(names)) < len(names):
            raise ValueError(f"the columns of a label group need distinct names, got {names}")
        return self


_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: there are many labels


def pair_text(pair: PairKey) -> str:
    """The key of a label as one text, the same for the same pair: what ledger and logs call it by."""
    return _written(pair)


def pair_of(text: str) -> PairKey:
    """The pair of a text that `pair_text` made."""
    user, other = json.loads(text)
    return user, other
