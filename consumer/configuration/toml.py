"""The TOML file as a source of settings."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any

from consumer.configuration.names import Known
from consumer.configuration.writing import tidy
from consumer.errors import SettingsError

_MARKS = {codecs.BOM_UTF8: "UTF-8 with a byte order mark", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def from_file(path: Path, known: Known) -> dict[str, Any]:
    """What the file sets.

    Raises:
        SettingsError: it cannot be read, or is no TOML; the message is one line.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            raise SettingsError(f"{path}: is written in {encoding}; save it as UTF-8 without a byte order mark")
    try:
        found = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}: is not UTF-8 (at line {line}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from None
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deep") from None
    cleaned: dict[str, Any] = tidy(found, (), known)
    return cleaned
