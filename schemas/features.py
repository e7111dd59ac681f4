"""The feature-group contract: which columns make up a user's embedding, in which order and length."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from schemas.base import Policy


class Column(Policy):
    """One embedding column. A scalar (length 1) is standardised, a vector is brought to unit length."""

    name: Annotated[str, Field(min_length=1)]
    length: Annotated[int, Field(ge=1)]

    @field_validator("name")
    @classmethod
    def _names_a_layer(cls, name: str) -> str:
        """The model has layers that bear the name, and Keras allows no slash in it."""
        if "/" in name or not name.isprintable():
            raise ValueError("a column name has no slash and no control characters, as Keras allows none in a model")
        return name

    @property
    def is_scalar(self) -> bool:
        """Whether the column holds one number, such as a mean release year."""
        return self.length == 1


class FeatureGroup(Policy):
    """A feature group of user embeddings and the part of it that a model is trained on.

    `id` and `feature_store_id` tell the group's events from others on a shared topic; where they are None, the names in
    the event decide, and an event that carries neither is taken for ours.
    """

    name: str = "spotify_user_embeddings"
    """Name of the feature group."""
    version: Annotated[int, Field(ge=1)] = 1
    """Version of the feature group."""
    id: int | None = None
    """Id of the feature group in its feature store; a cluster is asked for the id where none is set."""
    feature_store_id: int | None = None
    """Id of the feature store; a cluster is asked for the id where none is set."""
    primary_key: str = "user_id"
    """Column of the user id."""
    columns: Annotated[tuple[Column, ...], Field(min_length=1)] = (
        Column(name="genre_embedding", length=100),
        Column(name="artist_embedding", length=100),
        Column(name="playlist_embedding", length=100),
        Column(name="release_year_embedding", length=1),
    )
    """Embedding columns with their lengths, in the order in which the model takes them."""

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names) or self.primary_key in names:
            raise ValueError(f"columns and primary key need distinct names, got {[self.primary_key, *names]}")
        return self

    @property
    def width(self) -> int:
        """Numbers in one concatenated row."""
        return sum(column.length for column in self.columns)

    def slices(self) -> dict[str, slice]:
        """Where each column lies in a concatenated row, by name, in order."""
        found: dict[str, slice] = {}
        start = 0
        for column in self.columns:
            found[column.name] = slice(start, start + column.length)
            start += column.length
        return found
