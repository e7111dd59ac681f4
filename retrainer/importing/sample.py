"""Users for whoever wants to try this and has no file of vectors at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrainer.importing.errors import ImportRefused

USERS, TASTES, LENGTH = 600, 12, 16
_SPREAD = 0.5


def write_sample(path: Path) -> None:
    """Write a CSV of 600 users, each near one of twelve tastes; the same users each time.

    Raises:
        ImportRefused: the file is there already, or its name does not end in .csv.
    """
    if path.suffix.lower() != ".csv":
        raise ImportRefused(f"{path}: the generated users are a CSV, so give a name that ends in .csv")
    generator = np.random.default_rng(0)
    tastes = generator.normal(size=(TASTES, LENGTH))
    rows = tastes[np.arange(USERS) % TASTES] + _SPREAD * generator.normal(size=(USERS, LENGTH))
    lines = [",".join(["user_id", *(f"taste_{number}" for number in range(LENGTH))])]
    lines += [",".join([f"u{user}", *(f"{number:.3f}" for number in row)]) for user, row in enumerate(rows)]
    try:
        with path.open("x") as file:
            file.write("\n".join(lines) + "\n")
    except FileExistsError:
        raise ImportRefused(f"{path} is there already; --from {path} takes the users in it") from None
