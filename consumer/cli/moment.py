"""Times that people write."""

from __future__ import annotations

from datetime import UTC, datetime

import typer


def moment(text: str, option: str) -> datetime:
    """The time that `text`, given for `option`, means: ISO 8601, UTC where no zone is given.

    Raises:
        typer.BadParameter: it means none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} {text!r} is not a time such as 2026-11-24T08:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
