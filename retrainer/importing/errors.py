"""What an import cannot do."""

from __future__ import annotations

from schemas.errors import RetrainerError


class ImportRefused(RetrainerError):  # noqa: N818  (it is the file that is refused)
    """The file cannot be imported as it is; the message says why, and what would do."""
