"""What is wrong with settings, one line for each fault: which one, what it must be, and how that is written."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from consumer.configuration.names import Known, Where, variable

_HIDDEN = ("PASSWORD", "URL", "KEY", "SECRET", "ENDPOINT")


def in_words(error: ValidationError, known: Known) -> str:
    """All faults, each in a line that names the setting as it is written in the environment."""
    problems = error.errors(include_url=False)
    # A list of which no entry is sound is told to be too short as well.
    wrong_inside = {problem["loc"][:n] for problem in problems for n in range(len(problem["loc"]))}
    told = [one for one in problems if one["type"] != "too_short" or one["loc"] not in wrong_inside]
    return "\n".join(_readable(problem, known) for problem in told)


def _readable(problem: Any, known: Known) -> str:
    where, inside = _place(problem, known)
    name = variable(where)
    if problem["type"] == "extra_forbidden" and not inside:
        near = _near(where, known)
        return f"{name}: there is no such setting" + (f"; is {near} meant?" if near else "")
    message: str = problem["msg"].removeprefix("Value error, ")
    if where not in known.settings and (not where or message.startswith("RETRAINER_")):
        return message  # of several settings, which it names
    shown = "" if _is_hidden(problem, name, where, known) else f" (got {problem['input']!r})"
    setting = known.settings.get(where)
    example = f"; as in {name}={setting.example}" if setting is not None and setting.example else ""
    return f"{name}: {_at(inside)}{message}{shown}{example}"


def _place(problem: Any, known: Known) -> tuple[Where, list[str | int]]:
    """The setting or section of a fault, and where inside of its value; kinds of a section are no part of a name."""
    where: Where = ()
    inside: list[str | int] = []
    *_, last = problem["loc"] or ("",)
    for part in problem["loc"]:
        longer = (*where, str(part))
        if where in known.settings:
            inside.append(part)
        elif longer in known.settings or longer in known.sections or (part == last and "extra" in problem["type"]):
            where = longer
    if problem["type"].startswith("union_tag"):  # of a section that has several kinds
        where = (*where, problem["ctx"]["discriminator"].strip("'"))
    return where, inside


def _near(where: Where, known: Known) -> str | None:
    bare = (*where[:-1], where[-1].removesuffix("_file"))
    near = known.near(bare)
    return f"{near}_FILE" if near and bare != where else near


def _at(inside: list[str | int]) -> str:
    steps = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inside)
    return f"{steps.removeprefix('.')}: " if steps else ""


def _is_hidden(problem: Any, name: str, where: Where, known: Known) -> bool:
    """Whether what was given must not be shown: a secret, or a section with all that is in it."""
    setting = known.settings.get(where)
    secret = setting is None or setting.is_secret or any(word in name for word in _HIDDEN)
    return secret or problem["type"] == "missing" or isinstance(problem["input"], dict)
