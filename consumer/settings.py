"""Settings: from the environment (`RETRAINER_KAFKA__TOPIC`), from one TOML file, and secrets from files (`…_FILE`).

The environment outranks the file, which `RETRAINER_CONFIG` names. Every setting has a default fit for one machine. A
wrong or unknown setting stops the start with one message that names it. How they are written is told in
`consumer.configuration`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from consumer.configuration.bridge import BridgeSettings
from consumer.configuration.combinations import misfits
from consumer.configuration.dead_letters import DeadLetterSettings
from consumer.configuration.environment import CONFIG_VARIABLE, config_file, from_environment
from consumer.configuration.explanation import in_words
from consumer.configuration.export import ExportSettings
from consumer.configuration.http import HttpSettings
from consumer.configuration.kafka import KafkaSettings
from consumer.configuration.ledger import LedgerSettings
from consumer.configuration.model_events import ModelEventSettings
from consumer.configuration.names import known_of
from consumer.configuration.notifications import NotificationSettings
from consumer.configuration.promotion import PromotionSettings
from consumer.configuration.section import Names, Seconds, Section, SomeSeconds
from consumer.configuration.slo import SloSettings
from consumer.configuration.toml import from_file
from consumer.configuration.tracing import TracingSettings
from consumer.configuration.vectors import VectorSettings
from consumer.configuration.writing import at_home
from consumer.errors import SettingsError
from schemas.base import DURATION, LONGEST
from schemas.cycle import LocalRegistry, LocalStore, TrainerSettings
from schemas.engine import Device, MiningEngine, RayCluster
from schemas.features import FeatureGroup
from schemas.hopsworks import Hopsworks, HopsworksDeployment, HopsworksRegistry, HopsworksStore
from schemas.labels import LabelGroup
from schemas.policies import FitPolicy, GatePolicy, GuardPolicy, PairPolicy, SplitPolicy, TriggerPolicy
from schemas.reports import ReportPolicy
from schemas.times.crontab import from_crontab
from schemas.units import SECONDS


class LeaseSettings(Section):
    """By which one of several instances runs cycles."""

    patience: Annotated[float, Field(ge=1, le=LONGEST), DURATION, SECONDS] = 15.0
    """Seconds without a sign of life after which another instance takes over."""


class TrainerProcessSettings(Section):
    """How trainer processes are run."""

    warm: bool = True
    """Start the next trainer ahead of time, so that a cycle does not wait for imports; costs its memory meanwhile."""
    timeout: SomeSeconds = 3600.0
    """How long an attempt at a cycle may take before its trainer is killed and the cycle is tried again."""
    attempts: Annotated[int, Field(ge=1)] = 3
    """How often a cycle whose trainer failed is tried under its id before its users are given back."""
    retry_wait: Seconds = 10.0
    """Pause before the next attempt at a cycle whose trainer failed."""
    stop_grace: Seconds = 8.0
    """How long a trainer may take to stop before it is killed."""
    environment: Names = Field(default=(), examples=[("LD_PRELOAD", "HF_HOME")])
    """Variables that a trainer gets beside those that every process needs (`consumer.environment`)."""


class ScheduleSettings(Section):
    """Full retrains by the clock: a crontab line in UTC, such as `0 3 * * 0`; None for never."""

    full_retrain: str | None = Field(default=None, examples=["0 3 * * 0"])
    """When everybody is trained from scratch: a crontab line in UTC; none for never."""

    @field_validator("full_retrain")
    @classmethod
    def _is_crontab(cls, line: str | None) -> str | None:
        if line is not None:
            from_crontab(line)
        return line


class HealthSettings(Section):
    """When the health check turns bad."""

    max_age: Annotated[float, Field(ge=3, le=LONGEST), DURATION, SECONDS] = 30.0
    """Seconds since the listener last polled; the status that says so is written once a second."""
    held: bool = True
    """Whether a held cycle turns the check bad, too; switch this off where a bad check only restarts the container."""


class LogSettings(Section):
    """How the service logs, always to standard error. `auto` is for people on a terminal, JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto` writes lines for people on a terminal, and JSON elsewhere."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    state_dir: Path = Path("var")
    """Folder for everything that the service keeps on this machine: ledger, feature store, registry, working files."""
    kafka: KafkaSettings = KafkaSettings()
    ledger: LedgerSettings
    feature_group: FeatureGroup = FeatureGroup()
    labels: LabelGroup | None = None
    """The label group. It is named by any of its settings, by its topic, or by an objective that has outcomes."""
    hopsworks: Hopsworks | None = None
    """The cluster. Where one is named, feature store, model registry and Kafka are its own unless set otherwise."""
    feature_store: Annotated[LocalStore | HopsworksStore, Field(discriminator="kind")]
    model_registry: Annotated[LocalRegistry | HopsworksRegistry, Field(discriminator="kind")]
    deployment: HopsworksDeployment | None = None
    """The deployment of the cluster that serves the champion; a name turns it on."""
    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")] = "two_tower_recommender"
    """Name of the model in the registry."""
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    model_events: ModelEventSettings = ModelEventSettings()
    notifications: NotificationSettings = NotificationSettings()
    bridge: BridgeSettings = BridgeSettings()
    export: ExportSettings = ExportSettings()
    vectors: VectorSettings = VectorSettings()
    trigger: TriggerPolicy = TriggerPolicy()
    schedule: ScheduleSettings = ScheduleSettings()
    slo: SloSettings = SloSettings()
    pairs: PairPolicy = PairPolicy()
    engine: MiningEngine = MiningEngine.LOCAL
    """What mines pairs: `local`, the threads of the trainer, or `ray`, a Ray cluster. The pairs are the same."""
    ray: RayCluster = RayCluster()
    device: Device = Device.AUTO
    """What a trainer multiplies with: `gpu`, `cpu`, or `auto`, a GPU where TensorFlow can use one. The pairs are the
    same."""
    split: SplitPolicy = SplitPolicy()
    fit: FitPolicy = FitPolicy()
    gate: GatePolicy = GatePolicy()
    guard: GuardPolicy = GuardPolicy()
    promotion: PromotionSettings = PromotionSettings()
    reports: ReportPolicy = ReportPolicy()
    lease: LeaseSettings = LeaseSettings()
    trainer: TrainerProcessSettings = TrainerProcessSettings()
    health: HealthSettings = HealthSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="before")
    @classmethod
    def _everything_lies_in_the_state_folder(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Ledger, feature store and registry are in the state folder where nothing else is said."""
        given = values.get("state_dir", default := cls.model_fields["state_dir"].default)
        usable = isinstance(given, str | Path)
        state = Path(given if usable else default).absolute()
        values = {**values, "state_dir": state if usable else given}
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
    def _fits_together(self) -> Self:
        if self.labels is None and (self.fit.objective.has_outcomes or self.kafka.label_topic is not None):
            object.__setattr__(self, "labels", LabelGroup())
        if problems := list(misfits(self)):
            raise ValueError("\n".join(problems))
        return self

    @property
    def work_dir(self) -> Path:
        """Where trainers work: embedding spaces and running cycles."""
        return self.state_dir / "trainer"

    @property
    def reports_dir(self) -> Path:
        """Where the reports of cycles lie, a folder each."""
        return self.state_dir / "reports"

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
            deployment=self.deployment,
            model_name=self.model_name,
            work_dir=self.work_dir,
            pairs=self.pairs,
            engine=self.engine,
            ray=self.ray,
            device=self.device,
            split=self.split,
            fit=self.fit,
            gate=self.gate,
            guard=self.guard,
            reports=self.reports,
            reports_dir=self.reports_dir,
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


class _Environment(PydanticBaseSettingsSource):
    """The environment, as `consumer.configuration.environment` reads it."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Asked for by the library's base; all fields are read at one blow."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """What the environment sets, section by section."""
        return from_environment(os.environ, known_of(self.settings_cls))


def load_settings(config: Path | None = None) -> Settings:
    """The settings from the TOML file and the environment.

    Raises:
        SettingsError: something is wrong; the message has a line for each fault, which names the setting as it is
            written in the environment.
    """
    known = known_of(Settings)
    if config is None and (named := config_file(os.environ)) is not None:
        config = at_home(CONFIG_VARIABLE, named)
    try:
        return Settings(**(from_file(config, known) if config is not None else {}))
    except ValidationError as error:
        raise SettingsError(in_words(error, known)) from None
