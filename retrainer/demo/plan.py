"""What a demo is asked to do, and the settings that its children get."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from consumer.environment import for_child
from retrainer.demo import audience, lastfm
from retrainer.demo.friends import friends_beside
from retrainer.demo.spam import SPAM_WAVE
from retrainer.demo.upstream_bug import BUG_WAVE
from retrainer.demo.waves import in_words
from schemas.policies import Objective


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A demo: which listeners, how many waves, where its state goes, and when it gives up.

    `data` is a listening log, or None for `users` generated listeners. `limit` is in seconds.
    """

    state: Path
    data: Path | None = None
    users: int = 2400
    waves: int = 7
    limit: float = 600.0

    @property
    def following(self) -> bool:
        """Whether the listeners follow each other, and the model learns from that."""
        return self.data is None or friends_beside(self.data) is not None

    @property
    def whom(self) -> str:
        """Whose changes are learned, in words."""
        who = f"the listeners of {self.data}" if self.data else f"{self.users:,} generated listeners"
        if not self.following:
            return who
        return f"{who} and their friends" if self.data else f"{who}, who follow each other by a taste half hidden"

    @property
    def changes(self) -> str:
        """What happens afterwards, in words."""
        waves = f"then {in_words((self.waves, 'wave', 'waves')) or 'no waves'} of changes"
        if self.waves < BUG_WAVE:
            return waves
        mended = f"wave {BUG_WAVE + 1} mends it" if self.waves > BUG_WAVE else "and it ends with that"
        text = f"{waves}: an upstream bug spoils wave {BUG_WAVE}, {mended}"
        if not self.following or self.waves < SPAM_WAVE:
            return text
        deleted = f"wave {SPAM_WAVE + 1} deletes it" if self.waves > SPAM_WAVE else "and it ends with that"
        return f"{text}; wave {SPAM_WAVE} is spam, {deleted}"

    @property
    def stage(self) -> str:
        """What is real of what is seen."""
        return "Broker, feature store, service and trainer are the real ones, on this machine"

    @property
    def simulator(self) -> list[str]:
        """The command that starts the simulator, one wave a line."""
        whom = ["--data", str(self.data)] if self.data else ["--users", str(self.users)]
        bad = ["--bug-wave", str(BUG_WAVE), *(["--spam-wave", str(SPAM_WAVE)] if self.following else [])]
        return [*retrainer(), "simulate", "--on-demand", *bad, *whom]

    @property
    def service(self) -> list[str]:
        """The command that starts the service: the one that everybody types."""
        return [*retrainer(), "run"]

    def settings(self, broker: str) -> dict[str, str]:
        """The settings of simulator and service. They differ from those of production in patience."""
        source = lastfm if self.data else audience
        learning = {
            "RETRAINER_FIT__OBJECTIVE": Objective.OUTCOMES.value,
            "RETRAINER_TRIGGER__CHANGED_LABELS": "100",
        }
        return {
            "RETRAINER_FEATURE_GROUP__NAME": source.GROUP,
            "RETRAINER_FEATURE_GROUP__COLUMNS": json.dumps([column.model_dump() for column in source.COLUMNS]),
            "RETRAINER_PAIRS__SIMILARITY_THRESHOLD": str(source.SIMILARITY_THRESHOLD),
            "RETRAINER_STATE_DIR": str(self.state.absolute()),
            "RETRAINER_KAFKA__BOOTSTRAP_SERVERS": broker,
            "RETRAINER_KAFKA__SESSION_TIMEOUT_MS": "6000",  # Tansu lets a group wait for half of it
            "RETRAINER_TRIGGER__CHANGED_USERS": "50",
            "RETRAINER_TRIGGER__QUIET_PERIOD": "1",
            "RETRAINER_TRIGGER__MIN_INTERVAL": "0",
            "RETRAINER_TRIGGER__MAX_STALENESS": "20",  # for a wave smaller than the threshold
            "RETRAINER_TRIGGER__MAX_BACKOFF": "20",
            "RETRAINER_HTTP__PORT": "0",  # another service may run here already
            "RETRAINER_LOG__FORMAT": "json",
            **(learning if self.following else {}),
        }

    def log_of(self, child: str) -> Path:
        """Where everything goes that a child writes."""
        return self.state / f"{child}.log"

    def places(self) -> list[tuple[str, Path]]:
        """Where the demo's things lie, by what they are: the service's own defaults in its state folder."""
        return [
            ("ledger", self.state / "ledger.db"),
            ("model registry", self.state / "registry"),
            ("feature store", self.state / "feature_store.db"),
            ("service's log", self.log_of("service")),
        ]

    def commands(self) -> list[str]:
        """What to type next, to look at what the demo has left; by the name that the demo itself was called by."""
        called = sys.argv[0] if Path(sys.argv[0]).name == "retrainer" else "retrainer"
        settings = shlex.quote(str(self.state / "demo.env") if self.state.parts[:-1] else f"./{self.state}/demo.env")
        return [f"(. {settings}; {called} {command})" for command in ("versions", "status")]


def inherited(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """What a child gets: of our environment what it needs to run, and none of the settings that may be in it."""
    return for_child(environment) | dict(settings)


def as_shell(settings: Mapping[str, str]) -> str:
    """A file that a shell can read to look around with the same settings."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())


def retrainer() -> list[str]:
    """The command `retrainer` of this installation."""
    return [sys.executable, "-m", "retrainer.cli"]


def called(command: list[str]) -> str:
    """A child's command as people type it."""
    _, _, module, *arguments = command
    return " ".join(["retrainer" if module == "retrainer.cli" else f"python -m {module}", *arguments])
