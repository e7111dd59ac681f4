"""The environment as a source of settings, with the files that `RETRAINER_X_FILE` names for `RETRAINER_X`.

An empty variable counts as unset. Variables of other programs that begin like ours are left alone, the service links of
Kubernetes for one. A name that is nearly one of ours is refused: its writer would wait in vain for its effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from consumer.configuration.names import PREFIX, Known, Where, variable
from consumer.configuration.writing import at_home, from_text, tidy, unquoted
from consumer.errors import SettingsError

CONFIG_VARIABLE = "RETRAINER_CONFIG"
"""Names the TOML file."""
_FILE = "_file"
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_LINK = re.compile(r"(.+_)?(service_host|service_port(_.+)?|port|port_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)")
_LINK_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def from_environment(environment: Mapping[str, str], known: Known) -> dict[str, Any]:
    """What the environment sets, section by section.

    Raises:
        SettingsError: names or values are wrong; the message has a line for each.
    """
    texts: dict[Where, tuple[str, str]] = {}
    problems: list[str] = []
    for name, value in sorted(environment.items()):
        try:
            if (read := _read(name, value, known)) is None:
                continue
            where, text = read
            if where in texts:
                raise SettingsError(f"{texts[where][0]} and {name} are both set; unset one of them")
            texts[where] = name, text
        except SettingsError as error:
            problems.append(str(error))
    found: dict[str, Any] = {}
    for where, (name, text) in sorted(texts.items(), key=lambda item: len(item[0])):  # what is named closest counts
        try:
            _put(found, where, from_text(name, text, where, known))
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    cleaned: dict[str, Any] = tidy(found, (), known)
    return cleaned


def config_file(environment: Mapping[str, str]) -> str | None:
    """The TOML file that the environment names; None for none.

    Raises:
        SettingsError: it is named by another variable than the right one.
    """
    if unquoted(environment.get(f"{CONFIG_VARIABLE}_FILE", "")):
        raise SettingsError(f"{CONFIG_VARIABLE}_FILE: there is no such setting; {CONFIG_VARIABLE} names the TOML file")
    return unquoted(environment.get(CONFIG_VARIABLE, "")) or None


def _read(name: str, value: str, known: Known) -> tuple[Where, str] | None:
    """Which setting a variable is about, and its text; None where it is none of ours, or unset."""
    if not name.upper().startswith(PREFIX) or name.upper() in {CONFIG_VARIABLE, f"{CONFIG_VARIABLE}{_FILE.upper()}"}:
        return None
    where = tuple(name[len(PREFIX) :].lower().split("__"))
    setting = known.settings.get(where)
    if not (text := unquoted(value)):
        return None
    if setting is not None and setting.is_secret:
        if text != value.strip():
            raise SettingsError(
                f"{name}: has quotes around it, which would be part of the secret; leave them away, or put the secret "
                f"into a file that {name}_FILE names"
            )
        return where, value.rstrip("\r\n")  # a file of variables may have been written on Windows
    if setting is not None or where in known.sections:
        return where, text
    by_file = (*where[:-1], where[-1].removesuffix(_FILE))
    if where[-1].endswith(_FILE) and by_file in known.settings:
        return by_file, _content(name, text)
    if _is_anothers(name, where, text, known):
        return None
    return where, text  # an entry of a mapping, or a setting that there is not: that is told with the other faults


def _content(name: str, path: str) -> str:
    try:
        text = at_home(name, path).read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        raise SettingsError(f"{name}: cannot read {path}: it is not text in UTF-8") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if not text:
        raise SettingsError(f"{name}: {path} is empty; unset the variable, or write the value into the file")
    return text


def _is_anothers(name: str, where: Where, text: str, known: Known) -> bool:
    """Whether a variable that we do not know is another program's.

    Raises:
        SettingsError: it is more likely a slip of the pen.
    """
    bare = (*where[:-1], where[-1].removesuffix(_FILE))
    suffix = "_FILE" if bare != where else ""
    joined = "_".join(bare)
    meant = next((one for one in known.settings if len(one) > len(bare) and "_".join(one) == joined), None)
    is_link = _LINK.fullmatch("__".join(where)) is not None
    if is_link and (meant is None or _LINK_ADDRESS.match(text)):
        return True
    if meant is not None:
        raise SettingsError(f"{name}: there is no such setting; {variable(meant)}{suffix} has two underscores")
    if len(where) > 1 and (where[:1] in known.sections or known.setting_of(where) is not None):
        return False
    if len(where) > 1 or (known.near_the_top(bare[0]) and (not suffix or bare not in known.sections)):
        near = known.near(bare)
        hint = f"; is {near}{suffix} meant?" if near else ""
        raise SettingsError(f"{name}: there is no setting or section '{bare[0]}'{hint}")
    return True


def _put(found: dict[str, Any], where: Where, value: Any) -> None:
    *sections, last = where
    inside = found
    for section in sections:
        if not isinstance(inside.get(section), dict):
            inside[section] = {}
        inside = inside[section]
    inside[last] = value
