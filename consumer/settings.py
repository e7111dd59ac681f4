"""Settings: from the environment (`RETRAINER_KAFKA__TOPIC`), from one TOML file, and secrets from files (`…_FILE`).

The environment outranks the file, which `RETRAINER_CONFIG` names. Every setting has a default fit for one machine. A
wrong or unknown setting stops the start with one message that names it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableEnvironment
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from consumer.bridge.settings import BridgeSettings
from consumer.cycles.crontab import from_crontab
from consumer.cycles.trigger import TriggerPolicy
from consumer.dead_letters.settings import DeadLetterSettings
from consumer.errors import SettingsError
from consumer.kafka.settings import KafkaSettings
from consumer.section import Names, Seconds, Section
from schemas.cycle import LocalRegistry, LocalStore, TrainerSettings
from schemas.features import FeatureGroup
from schemas.guard import GuardPolicy
from schemas.hopsworks import Hopsworks, HopsworksRegistry, HopsworksStore
from schemas.labels import LabelGroup
from schemas.policies import FitPolicy, GatePolicy, PairPolicy, SplitPolicy

PREFIX = "RETRAINER_"
CONFIG_VARIABLE = "RETRAINER_CONFIG"
_FILES = {"RETRAINER_HOPSWORKS__API_KEY_FILE", "RETRAINER_HOPSWORKS__CA_FILE"}


class LedgerSettings(Section):
    """Where the ledger lies: `sqlite:///` and a file, or `postgresql://user@host/database` for several instances."""

    url: Annotated[str, Field(repr=False)]
    password: SecretStr | None = None
    """The password of a PostgreSQL address that names none."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            address = make_url(url)
        except ArgumentError:
            raise ValueError("is no address; sqlite:///file or postgresql://user@host/database") from None
        if address.drivername not in {"sqlite", "postgresql", "postgresql+psycopg"}:
            raise ValueError("a ledger lies in sqlite:///file or in postgresql://user@host/database")
        if "password" in address.query:
            raise ValueError("a password stands before the @, or in RETRAINER_LEDGER__PASSWORD_FILE")
        return url

    @model_validator(mode="after")
    def _has_its_password(self) -> Self:
        if self.password is not None:
            address = make_url(self.url).set(password=self.password.get_secret_value())
            object.__setattr__(self, "url", address.render_as_string(hide_password=False))
        return self


class LeaseSettings(Section):
    """By which one of several instances runs cycles."""

    patience: Annotated[float, Field(ge=1)] = 15.0
    """Seconds without a sign of life after which another instance takes over."""


class TrainerProcessSettings(Section):
    """How trainer processes are run."""

    warm: bool = True
    """Start the next trainer ahead of time, so that a cycle does not wait for imports; costs its memory meanwhile."""
    timeout: Annotated[float, Field(gt=0)] = 3600.0
    attempts: Annotated[int, Field(ge=1)] = 3
    """How often a cycle whose trainer failed is tried under its id before its users are given back."""
    retry_wait: Seconds = 10.0
    stop_grace: Seconds = 8.0
    """How long a trainer that was told to stop may take before it is killed."""
    environment: Names = ()
    """Variables that a trainer gets beside those that every process needs (`consumer.environment`)."""


class ScheduleSettings(Section):
    """Full retrains by the clock: a crontab line in UTC, such as `0 3 * * 0`; None for never."""

    full_retrain: str | None = None

    @field_validator("full_retrain")
    @classmethod
    def _is_crontab(cls, line: str | None) -> str | None:
        if line is not None:
            from_crontab(line)
        return line


class HealthSettings(Section):
    """When the health check turns bad."""

    max_age: Annotated[float, Field(gt=0)] = 30.0
    """Seconds since the listener last polled."""
    held: bool = True
    """Also while a cycle is held; off where whoever heeds the check can only start the container again."""


class LogSettings(Section):
    """How the service logs, always to standard error. `auto` is for people on a terminal, JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True
    )

    state_dir: Path = Path("var")
    kafka: KafkaSettings = KafkaSettings()
    ledger: LedgerSettings
    feature_group: FeatureGroup = FeatureGroup()
    labels: LabelGroup | None = None
    """The label group. It is named by any of its settings, by its topic, or by an objective that has outcomes."""
    hopsworks: Hopsworks | None = None
    """The cluster. Where one is named, feature store, model registry and Kafka are its own unless set otherwise."""
    feature_store: Annotated[LocalStore | HopsworksStore, Field(discriminator="kind")]
    model_registry: Annotated[LocalRegistry | HopsworksRegistry, Field(discriminator="kind")]
    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")] = "two_tower_recommender"
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    bridge: BridgeSettings = BridgeSettings()
    trigger: TriggerPolicy = TriggerPolicy()
    schedule: ScheduleSettings = ScheduleSettings()
    pairs: PairPolicy = PairPolicy()
    split: SplitPolicy = SplitPolicy()
    fit: FitPolicy = FitPolicy()
    gate: GatePolicy = GatePolicy()
    guard: GuardPolicy = GuardPolicy()
    lease: LeaseSettings = LeaseSettings()
    trainer: TrainerProcessSettings = TrainerProcessSettings()
    health: HealthSettings = HealthSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="before")
    @classmethod
    def _everything_lies_in_the_state_folder(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Ledger, feature store and registry are in the state folder where nothing else is said."""
        state = Path(values.get("state_dir", cls.model_fields["state_dir"].default)).absolute()
        values = {**values, "state_dir": state}
        kind = "hopsworks" if values.get("hopsworks") else "local"
        places = {"feature_store": state / "feature_store.db", "model_registry": state / "registry"}
        for section, place in places.items():
            given = values.get(section, {})
            if isinstance(given, dict):
                given = {"kind": "local" if "path" in given else kind, **given}
                values[section] = {"path": place, **given} if given["kind"] == "local" else given
        ledger = values.get("ledger", {})
        if isinstance(ledger, dict):
            values["ledger"] = {"url": f"sqlite:///{state / 'ledger.db'}", **ledger}
        return values

    @model_validator(mode="after")
    def _labels_have_a_group(self) -> Self:
        if self.labels is None and (self.fit.objective.has_outcomes or self.kafka.label_topic is not None):
            object.__setattr__(self, "labels", LabelGroup())
        if self.labels is not None and len(self.kafka.topics) == 1:
            self._can_be_told_apart(self.labels)
        return self

    def _can_be_told_apart(self, labels: LabelGroup) -> None:
        """Both groups share a topic."""
        users = self.feature_group
        if None not in (users.id, labels.id):
            apart, by = users.id != labels.id, f"id {users.id}"
        else:
            apart, by = (users.name, users.version) != (labels.name, labels.version), f"name {users.name}"
        if not apart:
            raise ValueError(
                f"the feature group and the label group share topic {self.kafka.topic} and have the same {by}: set "
                "RETRAINER_LABELS__NAME or __ID to the label group's own, or RETRAINER_KAFKA__LABEL_TOPIC to its topic"
            )

    @model_validator(mode="after")
    def _a_cluster_is_named(self) -> Self:
        if self.hopsworks is None and "hopsworks" in {self.feature_store.kind, self.model_registry.kind}:
            raise ValueError("a store or registry of kind hopsworks needs RETRAINER_HOPSWORKS__HOST and __PROJECT")
        if self.hopsworks is None and self.kafka.source == "ingestion" and self.feature_group.id is None:
            # Every row would be taken for another group's, and passed over without a word.
            raise ValueError("RETRAINER_KAFKA__SOURCE=ingestion needs RETRAINER_FEATURE_GROUP__ID, or a cluster to ask")
        unnamed = self.labels is not None and self.labels.id is None
        if self.hopsworks is None and self.kafka.source == "ingestion" and unnamed:
            raise ValueError("RETRAINER_KAFKA__SOURCE=ingestion needs RETRAINER_LABELS__ID, or a cluster to ask")
        return self

    @model_validator(mode="after")
    def _does_not_listen_to_its_own_dead_letters(self) -> Self:
        if (topic := self.dead_letters.topic) in self.kafka.topics:
            name = "TOPIC" if topic == self.kafka.topic else "LABEL_TOPIC"
            raise ValueError(
                f"RETRAINER_DEAD_LETTERS__TOPIC and RETRAINER_KAFKA__{name} are both {topic}: every dead "
                "letter would come back as another; name a topic of their own"
            )
        return self

    @property
    def work_dir(self) -> Path:
        """Where trainers work: embedding spaces and running cycles."""
        return self.state_dir / "trainer"

    @property
    def status_file(self) -> Path:
        """Where the service says, once a second, how it is."""
        return self.state_dir / "status.json"

    @property
    def tls_dir(self) -> Path:
        """Where our private copies of the cluster's certificates lie."""
        return self.state_dir / "tls"

    def for_trainer(self) -> TrainerSettings:
        """The part that travels with a cycle request."""
        store = self.feature_store
        if isinstance(store, HopsworksStore) and self.kafka.source == "ingestion":
            store = store.model_copy(update={"awaits_ingestion": True})
        return TrainerSettings(
            feature_group=self.feature_group,
            labels=self.labels,
            hopsworks=self.hopsworks,
            feature_store=store,
            model_registry=self.model_registry,
            model_name=self.model_name,
            work_dir=self.work_dir,
            pairs=self.pairs,
            split=self.split,
            fit=self.fit,
            gate=self.gate,
            guard=self.guard,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (the library names what it passes)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment with its secret files, then what the caller read from the TOML file."""
        return _Environment(settings_cls), init_settings


class _Environment(EnvSettingsSource):
    """The environment, in which `RETRAINER_X_FILE` gives `RETRAINER_X` by the file that holds it.

    Unless that is a setting itself: the file of the API key is read where the key is used, and again when it changed.
    """

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = {name.lower(): value for name, value in os.environ.items()}
        for name, path in os.environ.items():
            if name.startswith(PREFIX) and name.endswith("_FILE") and name not in _FILES:
                try:
                    found[name.removesuffix("_FILE").lower()] = Path(path).read_text().strip()
                except (OSError, UnicodeDecodeError) as error:
                    raise SettingsError(f"{name}: cannot read {path}: {error}") from None
                del found[name.lower()]
        return found


def load_settings(config: Path | None = None) -> Settings:
    """The settings from the TOML file and the environment.

    Raises:
        SettingsError: something is wrong; the message names each setting as it is written in the environment.
    """
    path = config or (Path(named) if (named := os.environ.get(CONFIG_VARIABLE)) else None)
    try:
        from_file = tomllib.loads(path.read_text()) if path else {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    _refuse_unknown_sections()
    try:
        return Settings(**from_file)
    except ValidationError as error:
        raise SettingsError("\n".join(_readable(problem) for problem in error.errors(include_url=False))) from None
    except UnreadableEnvironment as error:
        raise SettingsError(f"environment: {error}: {error.__cause__}") from None


def _refuse_unknown_sections() -> None:
    """The library overlooks a misspelt section; a person on a bad day should not."""
    for name in os.environ:
        section, *inside = name.removeprefix(PREFIX).removesuffix("_FILE").lower().split("__")
        if not name.startswith(PREFIX) or section in Settings.model_fields:
            continue
        # Other programs have variables of this prefix too, the compose file for one; a near miss is a slip.
        if inside or get_close_matches(section, Settings.model_fields, cutoff=0.8):
            known = ", ".join(sorted(Settings.model_fields))
            raise SettingsError(f"{name}: there is no setting or section '{section}'; there are {known}")


def _readable(problem: Any) -> str:
    name = PREFIX + "__".join(str(part).upper() for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    hidden = problem["type"] == "missing" or isinstance(problem["input"], dict)  # a section, passwords and all
    hidden = hidden or any(word in name for word in ("PASSWORD", "URL", "KEY", "SECRET", "ENDPOINT"))
    shown = "" if hidden else f" (got {problem['input']!r})"
    return f"{name}: {problem['msg']}{shown}"
