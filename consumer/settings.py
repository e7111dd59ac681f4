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
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableEnvironment

from consumer.crontab import from_crontab
from consumer.errors import SettingsError
from consumer.trigger import TriggerPolicy
from schemas.cycle import LocalRegistry, LocalStore, TrainerSettings
from schemas.features import FeatureGroup
from schemas.policies import FitPolicy, GatePolicy, PairPolicy, SplitPolicy

PREFIX = "RETRAINER_"
CONFIG_VARIABLE = "RETRAINER_CONFIG"

Seconds = Annotated[float, Field(ge=0)]


def _listed(value: object) -> object:
    """`a:9092,b:9092` from the environment means a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class _Section(BaseModel):
    """A group of settings; one that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(_Section):
    """Where change events are read, and how the client is secured."""

    bootstrap_servers: Annotated[list[str], NoDecode, BeforeValidator(_listed), Field(min_length=1)] = [
        "localhost:9092"
    ]
    topic: Annotated[str, Field(min_length=1)] = "spotify_user_embeddings_changes"
    group_id: Annotated[str, Field(min_length=1)] = "retrainer"
    start: Literal["earliest", "latest"] = "earliest"
    """Where to begin on a partition that the ledger does not know. Earliest loses nothing."""
    session_timeout_ms: Annotated[int, Field(ge=1000)] = 45_000
    max_poll_interval_ms: Annotated[int, Field(ge=1000)] = 300_000
    max_poll_records: Annotated[int, Field(ge=1)] = 2000
    commit_interval: Seconds = 5.0
    """How often Kafka's committed offsets follow the ledger, quiet partitions included."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_check_hostname: bool = True
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None


class LedgerSettings(_Section):
    """Where the ledger lies, as an SQLAlchemy URL."""

    url: str

    @field_validator("url")
    @classmethod
    def _is_sqlite(cls, url: str) -> str:
        if not url.startswith("sqlite:///"):
            raise ValueError("only sqlite:/// is supported by this release")
        return url


class TrainerProcessSettings(_Section):
    """How trainer processes are run."""

    warm: bool = True
    """Start the next trainer ahead of time, so that a cycle does not wait for imports; costs its memory meanwhile."""
    timeout: Annotated[float, Field(gt=0)] = 3600.0
    attempts: Annotated[int, Field(ge=1)] = 3
    """How often a cycle whose trainer failed is tried under its id before its users are given back."""
    retry_wait: Seconds = 10.0
    stop_grace: Seconds = 8.0
    """How long a trainer that was told to stop may take before it is killed."""


class ScheduleSettings(_Section):
    """Full retrains by the clock: a crontab line in UTC, such as `0 3 * * 0`; None for never."""

    full_retrain: str | None = None

    @field_validator("full_retrain")
    @classmethod
    def _is_crontab(cls, line: str | None) -> str | None:
        if line is not None:
            from_crontab(line)
        return line


class HealthSettings(_Section):
    """When the health check turns bad: seconds since the listener last polled."""

    max_age: Annotated[float, Field(gt=0)] = 30.0


class LogSettings(_Section):
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
    feature_store: LocalStore
    model_registry: LocalRegistry
    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")] = "two_tower_recommender"
    trigger: TriggerPolicy = TriggerPolicy()
    schedule: ScheduleSettings = ScheduleSettings()
    pairs: PairPolicy = PairPolicy()
    split: SplitPolicy = SplitPolicy()
    fit: FitPolicy = FitPolicy()
    gate: GatePolicy = GatePolicy()
    trainer: TrainerProcessSettings = TrainerProcessSettings()
    health: HealthSettings = HealthSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="before")
    @classmethod
    def _everything_lies_in_the_state_folder(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Ledger, feature store and registry are in the state folder where nothing else is said."""
        state = Path(values.get("state_dir", cls.model_fields["state_dir"].default)).absolute()
        values = {**values, "state_dir": state}
        places = {
            "ledger": ("url", f"sqlite:///{state / 'ledger.db'}"),
            "feature_store": ("path", state / "feature_store.db"),
            "model_registry": ("path", state / "registry"),
        }
        for section, (name, place) in places.items():
            given = values.get(section, {})
            values[section] = {name: place, **given} if isinstance(given, dict) else given
        return values

    @property
    def work_dir(self) -> Path:
        """Where trainers work: embedding spaces and running cycles."""
        return self.state_dir / "trainer"

    @property
    def status_file(self) -> Path:
        """Where the service says, once a second, how it is."""
        return self.state_dir / "status.json"

    def for_trainer(self) -> TrainerSettings:
        """The part that travels with a cycle request."""
        return TrainerSettings(
            feature_group=self.feature_group,
            feature_store=self.feature_store,
            model_registry=self.model_registry,
            model_name=self.model_name,
            work_dir=self.work_dir,
            pairs=self.pairs,
            split=self.split,
            fit=self.fit,
            gate=self.gate,
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
    """The environment, in which `RETRAINER_X_FILE` gives `RETRAINER_X` by the file that holds it."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = {name.lower(): value for name, value in os.environ.items()}
        for name, path in os.environ.items():
            if name.startswith(PREFIX) and name.endswith("_FILE"):
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
    hidden = problem["type"] == "missing" or any(word in name for word in ("PASSWORD", "URL", "KEY", "SECRET"))
    shown = "" if hidden else f" (got {problem['input']!r})"
    return f"{name}: {problem['msg']}{shown}"
