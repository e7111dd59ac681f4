"""What a record of the service's log says to a person: at most one line, in plain words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from retrainer.demo.story import CycleView, Record, StepView, Story
from retrainer.demo.waves import Committed, in_words
from schemas.cycle import Outcome, Step
from schemas.log_events.cycles import CYCLE_ENDED, CYCLE_STARTED, CYCLE_STEP
from schemas.log_events.listener import PARTITIONS_ASSIGNED, WAITING_FOR_BROKER
from schemas.log_events.service import CHANGES, SERVICE_STOPPED, STOPPING

Tone = Literal["plain", "quiet", "good", "held", "bad", "head", "detail"]
"""How a line is drawn. `head` opens a chapter; `detail` repeats what a live display shows, for those who have none."""


@dataclass(frozen=True, slots=True)
class Said:
    """One line: who speaks, and what is said."""

    subject: str
    text: str
    tone: Tone = "plain"


def of_commit(committed: Committed) -> list[Said]:
    """What the simulator's report says; a wave opens a chapter."""
    said = [Said(f"wave {committed.wave}", committed.title, "head")] if committed.wave else []
    counts = in_words(
        (committed.changed, "user changed", "users changed"),
        (committed.new, "new user", "new users"),
        (committed.deleted, "user deleted", "users deleted"),
        (committed.follows, "new follow", "new follows"),
        (committed.unfollows, "follow deleted", "follows deleted"),
    )
    text = f"{counts or committed.title} in the feature store, {committed.events:,} events published"
    return [*said, Said("simulator", text)]


def of_record(story: Story, record: Record) -> list[Said]:
    """What one record says, once `story` has been fed with it; most say nothing."""
    narrator = _NARRATORS.get(str(record.get("event")))
    if narrator is not None:
        return narrator(story, record)
    if record.get("level") in {"warning", "error", "critical"}:
        return [Said("service", _loosely(record), "bad")]
    return []


def _waiting(_: Story, record: Record) -> list[Said]:
    return [Said("service", f"{WAITING_FOR_BROKER}: {record.get('reason')}", "quiet")]


def _assigned(_: Story, record: Record) -> list[Said]:
    count = len(record.get("partitions") or [])
    return [Said("service", f"listens to {in_words((count, 'partition', 'partitions')) or 'nothing yet'}")]


def _changes(story: Story, record: Record) -> list[Said]:
    dead = f", {story.dead:,} unreadable" if story.dead else ""
    ignored = f", {record['ignored']:,} of others" if record.get("ignored") else ""
    labels = f" and {story.pending_labels:,} labels" if story.pending_labels else ""
    return [Said("listener", f"{story.events:,} events read{ignored}{dead}; {story.pending:,} users{labels} pending")]


def _started(_: Story, record: Record) -> list[Said]:
    kind, base = record.get("kind"), record.get("base_version")
    reason = record.get("reason")
    if base is None:
        return [Said(f"{kind}", "no version yet, so all users and a full training", "head"), Said("cycle", f"{reason}")]
    whom = _whom(int(record.get("users") or 0), int(record.get("labels") or 0))
    return [Said("cycle", f"{kind}, because {reason}" + (f": {whom}" if whom else "") + f", on top of version {base}")]


def _whom(users: int, labels: int) -> str:
    return in_words((users, "user", "users"), (labels, "label", "labels"))


def _step(story: Story, record: Record) -> list[Said]:
    cycle = next((one for one in reversed(story.cycles) if one.cycle_id == record.get("cycle_id")), None)
    name = record.get("step")
    if cycle is None or name not in set(Step):
        return []
    step = Step(name)
    view = cycle.steps[step]
    if step is Step.FIT and view.state == "running":
        return _epoch(cycle, view)
    if view.state != "done":
        return []
    narrate = _STEPS.get(step)
    text = narrate(cycle, view.facts) if narrate else ""
    return [Said(step, text or _facts(view.facts) or "done", "quiet" if step in _ASIDE else "plain")]


def _epoch(cycle: CycleView, view: StepView) -> list[Said]:
    """One line in about a quarter of the epochs; a live display shows them all."""
    if not view.done or not view.total or view.done == view.total or view.done % max(1, view.total // 4):
        return []
    return [Said("fit", f"epoch {view.done} of {view.total}: {accuracies(cycle)}", "detail")]


def _read(_: CycleView, facts: Record) -> str:
    accepted, deleted, refused = (int(facts.get(name) or 0) for name in ("accepted", "deleted", "refused"))
    found = in_words(
        (accepted, "user read from the feature store", "users read from the feature store"),
        (deleted, "user is no longer there", "users are no longer there"),
        (refused, "row refused", "rows refused"),
    )
    return found or "nobody"


def _embed(_: CycleView, facts: Record) -> str:
    return f"{facts['users']:,} users in the matrix" if "users" in facts else ""


def _base(_: CycleView, facts: Record) -> str:
    return f"goes on from version {facts['version']}" if "version" in facts else "a new model"


def _package(_: CycleView, facts: Record) -> str:
    return f"{facts['files']} files, {facts['bytes'] / 1e6:.1f} MB" if {"files", "bytes"} <= set(facts) else ""


def _probe(_: CycleView, facts: Record) -> str:
    """How the champion does on what it has not learned yet: test, then train."""
    labels = int(facts.get("labels") or 0)
    figures = [
        f"{name} {facts[key]:.3f}" + (f" (in its own exam {own:.3f})" if (own := facts.get(f"own_{key}")) else "")
        for key, name in (("auc", "AUC"), ("recall_at_50", "recall@50"))
        if facts.get(key) is not None
    ]
    if not labels or not figures:
        return shortened(str(facts.get("summary") or "nothing to ask"))
    version = facts.get("version")
    return f"before anything is learned: version {version}, asked about {labels:,} new labels, has {', '.join(figures)}"


def _pair(_: CycleView, facts: Record) -> str:
    if "after" not in facts:
        return ""
    if not facts.get("before"):
        return f"{facts['after']:,} similar pairs"
    added, removed = facts.get("added") or 0, facts.get("removed") or 0
    return f"{facts['before']:,} -> {facts['after']:,} similar pairs ({added:,} added, {removed:,} removed)"


def _fit(cycle: CycleView, facts: Record) -> str:
    if not cycle.train:
        return ""
    best = facts.get("best_epoch")
    kept = "" if best is None else f"; epoch {best} kept" if best else "; none beats the start, which is kept"
    return f"{len(cycle.train)} epochs: {accuracies(cycle)}{kept}"


def _gate(_: CycleView, facts: Record) -> str:
    """By the AUC of held-out labels, where there are some, and else by accuracy."""
    by_labels = any(f"{name}_outcome_auc" in facts for name in ("challenger", "champion"))
    figure, whom = ("outcome_auc", "labels") if by_labels else ("accuracy", "users")
    name = "AUC " if by_labels else ""
    outcome, challenger, champion = (
        facts.get(key) for key in ("outcome", f"challenger_{figure}", f"champion_{figure}")
    )
    if challenger is None:
        alone = "" if champion is None else f": no challenger; champion {name}{champion:.4f} on the held-out {whom}"
        return f"{outcome}{alone}"
    if champion is None:
        return f"{outcome}: challenger {name}{challenger:.4f} on the held-out {whom}, no champion to compare with"
    bound = facts.get("lower_bound")
    least = f" (at worst {bound:+.4f})" if bound is not None else ""
    return f"{outcome}: challenger {name}{challenger:.4f}, champion {champion:.4f} on the same held-out {whom}{least}"


def accuracies(cycle: CycleView) -> str:
    """The last accuracies of a fit; of labels, the AUC on those of the dev users."""
    if not cycle.train:
        return "no accuracy yet"
    dev = f", validation {cycle.dev_name}{cycle.dev[-1]:.3f}" if cycle.dev else ""
    return f"training accuracy {cycle.train[-1]:.3f}{dev}"


def _ended(_: Story, record: Record) -> list[Said]:
    outcome, seconds = record.get("outcome"), record.get("seconds")
    took = f" after {seconds:.1f} s" if isinstance(seconds, int | float) else ""
    why = str(record.get("reason"))
    tone: Tone = "held" if outcome == Outcome.HELD else "bad"
    if outcome == Outcome.REGISTERED:
        figures = _figures(record, "")
        with_them = f", with {figures}" if figures else ""
        said = [Said("cycle", f"version {record.get('version')} registered{took}{with_them}", "good")]
    elif outcome == Outcome.UNCHANGED:
        figures, champion = _figures(record, "champion_"), f"version {record.get('base_version')}"
        answers = f"{champion} answers for them, today with {figures}" if figures else why
        said = [Said("cycle", f"unchanged{took}, nothing to learn: {answers}", "good")]
    elif outcome == Outcome.HELD:
        said = [Said("cycle", f"held{took}: such data are not believed, so nothing is learned from them", tone)]
        said.append(Said("why", why, tone))
    else:
        said = [Said("cycle", f"{outcome}{took}, no new version: {why}", tone)]
    if way_out := record.get("way_out"):
        said.append(Said("to do", str(way_out), tone))
    if asks_full := record.get("asks_full"):
        said.append(Said("cycle", f"asks for a full retrain: {asks_full}"))
    return said


def _figures(record: Record, whose: str) -> str:
    """`accuracy 0.9967, precision 0.9964, recall 0.9972`, or those of outcomes, as far as they were measured."""
    names = {"accuracy": "accuracy", "precision": "precision", "recall": "recall"}
    if isinstance(record.get(f"{whose}outcome_auc"), float):
        names = {"outcome_auc": "AUC", "recall_at_50": "recall@50"}
    found = {label: record.get(f"{whose}{name}") for name, label in names.items()}
    return ", ".join(f"{name} {figure:.4f}" for name, figure in found.items() if isinstance(figure, int | float))


def _quietly(_: Story, record: Record) -> list[Said]:
    return [Said("service", str(record["event"]), "quiet")]


def _facts(facts: Record) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in facts.items())


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _loosely(record: Record) -> str:
    """A record that we have no words for: its event and its fields."""
    hidden = {"event", "level", "timestamp", "logger", "exception", "cycle_id", "last_words"}
    fields = [f"{key} {_number(value)}" for key, value in record.items() if key not in hidden]
    return shortened(", ".join([str(record.get("event")), *fields]))


def shortened(text: str, characters: int = 200) -> str:
    """The first line, and not too much of it: the log has it all."""
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= characters else line[: characters - 3] + "..."


_ASIDE = {Step.EMBED, Step.BASE, Step.PACKAGE, Step.REGISTER}  # steps that seldom have news
_STEPS: dict[Step, Callable[[CycleView, Record], str]] = {
    Step.READ: _read,
    Step.EMBED: _embed,
    Step.PAIR: _pair,
    Step.BASE: _base,
    Step.PROBE: _probe,
    Step.FIT: _fit,
    Step.GATE: _gate,
    Step.PACKAGE: _package,
}
_NARRATORS: dict[str, Callable[[Story, Record], list[Said]]] = {
    WAITING_FOR_BROKER: _waiting,
    PARTITIONS_ASSIGNED: _assigned,
    CHANGES: _changes,
    CYCLE_STARTED: _started,
    CYCLE_STEP: _step,
    CYCLE_ENDED: _ended,
    STOPPING: _quietly,
    SERVICE_STOPPED: _quietly,
}
