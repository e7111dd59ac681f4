"""Changes are of two kinds: users, and labels between two users. The ledger promises the same of both."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Table

from consumer.database.tables import (
    changes,
    label_changes,
    learned,
    learned_labels,
    refused_labels,
    refused_users,
)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """The tables of a kind: its changes, what was settled not long ago, and what was refused."""

    name: str
    changes: Table
    learned: Table
    refused: Table

    @property
    def key(self) -> Column[str]:
        """The column that names the user or label; in the primary key it follows the portion."""
        key: Column[str] = self.changes.primary_key.columns[1]
        return key


USERS = Kind("users", changes, learned, refused_users)
LABELS = Kind("labels", label_changes, learned_labels, refused_labels)
KINDS = (USERS, LABELS)
