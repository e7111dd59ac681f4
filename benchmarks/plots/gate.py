"""Pictures of docs/gate.md, drawn from the results of `make gate-study`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.gate_study.drifting import LIMITS
from benchmarks.plots.style import BLUE, GREEN, INK, ORANGE, figure, grid, save
from schemas.policies import GatePolicy

_RESULTS = Path(__file__).parent.parent / "gate_study" / "results.json"
_TITLES = {
    "equal": "equal",
    "evenly": "worse by twice the margin\nevenly",
    "on 4 % of users": "worse by twice the margin\non 4 % of users",
    "on 1 % of users": "worse by the margin\non 1 % of users",
}
_RULES = {"two point estimates": ORANGE, "the first release": GREEN, "the gate": BLUE}


def draw() -> None:
    """Both pictures; a part of the study that has not been run is left out."""
    study = json.loads(_RESULTS.read_text())
    if "simulation" in study:
        _simulation(study["simulation"]["rows"])
    if "drifting" in study:
        _drifting(study["drifting"]["rows"])


def _simulation(rows: list[dict[str, Any]]) -> None:
    harms = list(dict.fromkeys(row["harm"] for row in rows))
    drawn, axes = figure(len(harms), width=11.0, height=3.2)
    for axis, harm in zip(axes, harms, strict=True):
        for rule, colour in _RULES.items():
            mine = [row for row in rows if (row["harm"], row["rule"]) == (harm, rule)]
            parts = {"passed": mine, "noted": []}
            if rule == "the gate":  # below so many users a pass has a note
                parts = {
                    "passed": [row for row in mine if row["users"] >= GatePolicy().small_users],
                    "noted": [row for row in mine if row["users"] < GatePolicy().small_users],
                }
            for name, style, word in (("passed", "o-", ""), ("noted", "o:", ", with a note")):
                users, shares = [row["users"] for row in parts[name]], [row.get(name, 0.0) for row in parts[name]]
                face = "white" if word else colour
                if users:
                    axis.plot(users, shares, style, color=colour, label=f"{rule}{word}", markersize=4, mfc=face)
        axis.set_xscale("log")
        axis.set_title(_TITLES[harm], fontsize=10)
        axis.set_ylim(-0.03, 1.03)
        axis.set_xlabel("held-out users")
    axes[0].set_ylabel("share that passes")
    axes[-1].legend(frameon=False, fontsize=8)
    save(drawn, "gate_simulation")


def _drifting(rows: list[dict[str, Any]]) -> None:
    worlds = list(dict.fromkeys(row["world"] for row in rows))
    drawn, axes = grid(2, -(-len(worlds) // 2), width=11.0, height=5.0)
    for axis, world in zip(axes.flat, worlds, strict=False):
        mine = [row for row in rows if row["world"] == world]
        waves = [row["wave"] for row in mine]
        for colour, (name, limit) in zip((BLUE, ORANGE, GREEN), LIMITS.items(), strict=True):
            axis.plot(waves, [row[name] for row in mine], "-", color=colour, label=name.replace("_at_", "@"))
            axis.axhline(-limit, color=colour, linewidth=0.6, linestyle=":")
        for key, mark in (("asked", "^"), ("held", "s")):
            marked = [row["wave"] for row in mine if row[key]]
            word = {"asked": "full retrain asked for", "held": "held"}[key]
            axis.plot(marked, [0.0] * len(marked), mark, color=INK, mfc="white", label=word if marked else None)
        axis.set_title(world.replace("_", " "), fontsize=10)
    for axis in axes.flat[len(worlds) :]:
        axis.axis("off")
    axes.flat[0].legend(frameon=False, fontsize=8)
    drawn.supxlabel("wave")
    drawn.supylabel("champion less a full retrain on that day")
    save(drawn, "gate_drifting")
