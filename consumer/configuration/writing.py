"""Values as people write them: what is empty is unset, None has a word, a path may begin at home.

Holds for the environment and for the file alike. Quotes are of the environment alone: a file of variables that Docker
reads keeps them, where a shell takes them away.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from consumer.configuration.names import Known, Setting, Where, variable
from consumer.errors import SettingsError

_NONE = {"none", "null"}
_NOTHING = object()


def unquoted(text: str) -> str:
    """The text without the quotes around the whole of it, if there are any."""
    text = text.strip()
    for quote in ('"', "'"):
        inner = text[1:-1]
        if len(text) >= 2 and text[0] == text[-1] == quote and quote not in inner:
            return inner.strip()
    return text


def from_text(name: str, text: str, where: Where, known: Known) -> Any:
    """What a variable says, before it is checked; `name` is the variable's, for messages.

    Raises:
        SettingsError: it is not written as such a setting is.
    """
    setting = known.settings.get(where)
    if setting is None and where not in known.sections:
        return text  # there is no such setting, or it is an entry of a mapping
    if _says_none(
        text, optional=known.sections[where] if setting is None else setting.optional and not setting.is_secret
    ):
        return None
    if setting is None or setting.as_json:
        return _json(name, text, setting)
    if setting.is_list and re.match(r"\[\s*\"", text):
        return _json(name, text, setting)
    return text


def tidy(value: Any, where: Where, known: Known) -> Any:
    """A value, or a section of them, without what is empty; words for None and paths at home are understood.

    Raises:
        SettingsError: a path begins at a home that nobody knows.
    """
    cleaned = _tidy(value, where, known)
    return {} if cleaned is _NOTHING else cleaned


def _tidy(value: Any, where: Where, known: Known) -> Any:
    if isinstance(value, dict):
        if where in known.settings:
            return value
        inside = {name: _tidy(one, (*where, name), known) for name, one in value.items()}
        kept = {name: one for name, one in inside.items() if one is not _NOTHING}
        return _NOTHING if value and not kept else kept
    if not isinstance(value, str):
        return value
    if not value.strip():
        return _NOTHING
    setting = known.settings.get(where)
    optional = known.sections.get(where, False) if setting is None else setting.optional and not setting.is_secret
    if _says_none(value, optional=optional):
        return None
    return _at_home(value, where) if setting is not None and setting.is_path else value


def at_home(name: str, path: str) -> Path:
    """The path, where it begins with `~` that of somebody's home folder.

    Raises:
        SettingsError: nobody knows that folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise SettingsError(
            f"{name}: nobody knows the home folder that {path} begins with; write the whole path"
        ) from None


def _at_home(path: str, where: Where) -> Any:
    return at_home(variable(where), path) if path.startswith("~") else path


def _says_none(text: str, *, optional: bool) -> bool:
    return optional and text.strip().lower() in _NONE


def _json(name: str, text: str, setting: Setting | None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        why = f"at character {error.pos + 1}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "too deep"
        what = "a section is set by its settings, or as a whole by JSON" if setting is None else "it is written as JSON"
        example = f", as in {name}={setting.example}" if setting is not None and setting.example else ""
        raise SettingsError(f"{name}: is no JSON ({why}); {what}{example}") from None
