"""How a cycle ended, in one sentence for people."""

from __future__ import annotations

from schemas.cycle import Comparison, CycleResult, GateReport, Outcome
from schemas.figures import words

_SMALLEST = 5e-5  # smaller differences are 0.0000 on paper


def decision(result: CycleResult) -> str:
    """The decision on a cycle, with its reason.

    A result whose gate has passed and that has no version yet is that of a version about to be registered.
    """
    match result.outcome:
        case Outcome.REGISTERED:
            return f"Registered as version {result.version}{_grounds(result)}"
        case Outcome.INCONCLUSIVE if result.gate is not None and result.gate.outcome == "passed":
            return f"Registered{_grounds(result)}"
        case Outcome.REJECTED:
            return f"Refused: {_sentence(result.reason)}"
        case Outcome.INCONCLUSIVE:
            return f"Not registered, because the exam cannot tell: {_sentence(result.reason)}"
        case Outcome.UNCHANGED:
            return f"Nothing to learn, so {_champion(result)} stays: {_sentence(result.reason)}"
        case Outcome.HELD:
            out = f" What to do: {_sentence(result.way_out)}" if result.way_out else ""
            return f"Held, and nothing was learned: {_sentence(result.reason)}{out}"
        case Outcome.PROBED:
            return f"Probed, and nothing was changed: {_sentence(result.reason)}"
        case Outcome.FAILED:
            return f"Failed: {_sentence(result.reason)}"


def _grounds(result: CycleResult) -> str:
    """Why a version was registered, with the largest gain and the largest loss beside its champion."""
    gate = result.gate
    if gate is None:
        return f": {_sentence(result.reason)}"
    if gate.champion is None:
        return f", without a champion to compare with: {_sentence(gate.reason)}"
    if result.fit is not None and not result.fit.learned:
        return f": training found nothing better, so it has the weights of {_champion(result)}."
    told = "; ".join(_moved(gate)) or "no figure has moved"
    return f": it does not regress against {_champion(result)}; {told}."


def _moved(gate: GateReport) -> list[str]:
    whole = [one for one in gate.comparisons if one.against == "champion" and one.slice is None]
    gains = sorted(whole, key=lambda one: one.difference)
    found = []
    if gains and gains[-1].difference > _SMALLEST:
        found.append(f"{_change(gains[-1], better=True)}")
    if gains and gains[0].difference < -_SMALLEST:
        allowed = "" if gains[0].margin is None else f", less than the margin of {gains[0].margin}"
        found.append(f"{_change(gains[0], better=False)}{allowed}")
    return found


def _change(one: Comparison, *, better: bool) -> str:
    """Differences are turned so that a loss is negative; of an error, a gain is a fall."""
    if one.figure.endswith("calibration_error"):
        return f"{words(one.figure)} {'fell' if better else 'rose'} by {abs(one.difference):.4f}"
    return f"{words(one.figure)} {'rose' if better else 'fell'} by {abs(one.difference):.4f}"


def _champion(result: CycleResult) -> str:
    return "the champion" if result.base_version is None else f"version {result.base_version}"


def _sentence(text: str) -> str:
    text = text.rstrip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
