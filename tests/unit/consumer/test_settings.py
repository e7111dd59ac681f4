"""A wrong setting is named in one readable message; a secret is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumer.database.address import shown
from consumer.errors import SettingsError
from consumer.settings import load_settings
from schemas.cycle import LocalRegistry, LocalStore, TrainerSettings
from schemas.hopsworks import HopsworksStore
from schemas.labels import LabelGroup


def test_everything_has_a_default_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.ledger.url == f"sqlite:///{tmp_path / 'ledger.db'}"
    assert settings.feature_store == LocalStore(path=tmp_path / "feature_store.db")
    assert settings.model_registry == LocalRegistry(path=tmp_path / "registry")
    assert settings.for_trainer().pairs == settings.pairs


def test_the_environment_outranks_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "retrainer.toml"
    config.write_text('[kafka]\ntopic = "of-the-file"\ngroup_id = "g"\nbootstrap_servers = ["a:1"]\n')
    monkeypatch.setenv("RETRAINER_CONFIG", str(config))
    monkeypatch.setenv("RETRAINER_KAFKA__TOPIC", "of-the-environment")
    kafka = load_settings().kafka
    assert (kafka.topic, kafka.group_id, kafka.bootstrap_servers) == ("of-the-environment", "g", ["a:1"])


def test_the_password_of_the_ledger_may_come_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush/hush@\n")
    monkeypatch.setenv("RETRAINER_LEDGER__URL", "postgresql://retrainer@db/ledger?sslmode=verify-full")
    monkeypatch.setenv("RETRAINER_LEDGER__PASSWORD_FILE", str(tmp_path / "password"))
    settings = load_settings()
    assert settings.ledger.url == "postgresql://retrainer:hush%2Fhush%40@db/ledger?sslmode=verify-full"
    assert "hush" not in repr(settings)
    assert shown(settings.ledger.url) == "postgresql://retrainer:***@db/ledger?sslmode=verify-full"


def test_several_brokers_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__BOOTSTRAP_SERVERS", "a:9092, b:9092")
    assert load_settings().kafka.bootstrap_servers == ["a:9092", "b:9092"]


def test_a_secret_comes_from_a_file_and_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush-hush\n")
    monkeypatch.setenv("RETRAINER_KAFKA__SASL_PASSWORD_FILE", str(tmp_path / "password"))
    settings = load_settings()
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "hush-hush"
    assert "hush" not in repr(settings) + str(settings.model_dump())
    assert "hush" not in settings.for_trainer().model_dump_json()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RETRAINER_TRIGGER__CHANGED_USERS", "-4", "RETRAINER_TRIGGER__CHANGED_USERS: Input should be greater"),
        ("RETRAINER_PAIRS__SIMILARITY_THRESHOLD", "x", "RETRAINER_PAIRS__SIMILARITY_THRESHOLD: .*got 'x'"),
        ("RETRAINER_KAFKA__TOPIK", "t", "RETRAINER_KAFKA__TOPIK: there is no such setting"),
        ("RETRAINER_KAFFKA__TOPIC", "t", "there is no setting or section 'kaffka'"),
        ("RETRAINER_STATE_DIRR", "t", "RETRAINER_STATE_DIRR: there is no setting or section 'state_dirr'"),
        ("RETRAINER_SCHEDULE__FULL_RETRAIN", "soon", "RETRAINER_SCHEDULE__FULL_RETRAIN: .*got 'soon'"),
        ("RETRAINER_LEDGER__URL", "ledger.db", "RETRAINER_LEDGER__URL: .*is no address"),
        ("RETRAINER_LEDGER__URL", "postgresql://h/d?password=p", "RETRAINER_LEDGER__URL: .*before the @"),
        ("RETRAINER_LEDGER__URL", "mysql://x", "RETRAINER_LEDGER__URL: .*sqlite:///file or in postgresql"),
        ("RETRAINER_FEATURE_GROUP__COLUMNS", '[{"name"', "RETRAINER_FEATURE_GROUP__COLUMNS: is no JSON .*as in"),
        ("RETRAINER_KAFKA__SASL_PASSWORD_FILE", "no-such-file", "RETRAINER_KAFKA__SASL_PASSWORD_FILE: cannot read"),
        ("RETRAINER_CONFIG", "no-such-file.toml", "no-such-file.toml"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_a_password_in_a_wrong_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_LEDGER__URL", "mysql://u:hunter2@host/db")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_variables_of_other_programs_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRAINER_TAG", "RETRAINER_SECRETS", "RETRAINER_KAFKA_PORT", "RETRAINER_CACHE"):
        monkeypatch.setenv(name, "x")
    load_settings()


def test_a_file_of_another_shape_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "retrainer.toml").write_text('ledger = "x"\n')
    monkeypatch.setenv("RETRAINER_CONFIG", str(tmp_path / "retrainer.toml"))
    with pytest.raises(SettingsError, match="RETRAINER_LEDGER: "):
        load_settings()
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("RETRAINER_KAFKA__SASL_PASSWORD_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingsError, match="RETRAINER_KAFKA__SASL_PASSWORD_FILE: cannot read"):
        load_settings()


def test_all_that_is_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_TRIGGER__CHANGED_USERS", "0")
    monkeypatch.setenv("RETRAINER_GATE__DRAWS", "1")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).count("\n") == 1


CLUSTER = {"RETRAINER_HOPSWORKS__HOST": "hops.example", "RETRAINER_HOPSWORKS__PROJECT": "spotify"}


def test_a_cluster_takes_the_place_of_store_and_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in CLUSTER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RETRAINER_HOPSWORKS__API_KEY_FILE", str(tmp_path / "key"))
    settings = load_settings()
    assert (settings.feature_store.kind, settings.model_registry.kind) == ("hopsworks", "hopsworks")
    for_trainer = settings.for_trainer()
    assert for_trainer.hopsworks is not None
    assert for_trainer.hopsworks.api_key_file == tmp_path / "key"
    assert for_trainer.feature_store == HopsworksStore()
    assert for_trainer == TrainerSettings.model_validate_json(for_trainer.model_dump_json())


def test_store_and_registry_can_be_local_beside_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in CLUSTER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RETRAINER_MODEL_REGISTRY__PATH", str(tmp_path / "versions"))
    settings = load_settings()
    assert settings.feature_store.kind == "hopsworks"
    assert settings.model_registry == LocalRegistry(path=tmp_path / "versions")


def test_a_store_in_a_cluster_needs_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_FEATURE_STORE__KIND", "hopsworks")
    with pytest.raises(SettingsError, match="RETRAINER_HOPSWORKS__HOST"):
        load_settings()
    monkeypatch.setenv("RETRAINER_HOPSWORKS__HOST", "hops.example")
    with pytest.raises(SettingsError, match="RETRAINER_HOPSWORKS__PROJECT"):
        load_settings()


def test_events_of_the_ingestion_topic_come_before_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**CLUSTER, "RETRAINER_KAFKA__SOURCE": "ingestion"}.items():
        monkeypatch.setenv(name, value)
    store = load_settings().for_trainer().feature_store
    assert isinstance(store, HopsworksStore)
    assert store.awaits_ingestion


def test_the_ingestion_topic_cannot_be_read_without_the_group_s_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__SOURCE", "ingestion")
    with pytest.raises(SettingsError, match="RETRAINER_FEATURE_GROUP__ID"):
        load_settings()
    monkeypatch.setenv("RETRAINER_FEATURE_GROUP__ID", "15")
    assert load_settings().feature_group.id == 15


def test_without_labels_nothing_is_said_of_them() -> None:
    settings = load_settings()
    assert settings.labels is None
    assert settings.for_trainer().labels is None
    assert settings.kafka.topics == (settings.kafka.topic,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETRAINER_LABELS__DIRECTED", "false"),
        ("RETRAINER_KAFKA__LABEL_TOPIC", "follows"),
        ("RETRAINER_FIT__OBJECTIVE", "outcomes"),
        ("RETRAINER_FIT__OBJECTIVE", "both"),
    ],
)
def test_a_label_group_is_named_by_whatever_needs_one(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.labels == LabelGroup()
    assert settings.for_trainer().labels == LabelGroup()


def test_the_words_of_a_label_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_LABELS__WORDS", '{"like": true, "mute": false}')
    monkeypatch.setenv("RETRAINER_LABELS__WEIGHT", "strength")
    labels = load_settings().labels
    assert labels is not None
    assert (labels.words, labels.weight) == ({"like": True, "mute": False}, "strength")


def test_labels_are_read_from_the_same_topic_or_from_one_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__TOPIC", "changes")
    monkeypatch.setenv("RETRAINER_KAFKA__LABEL_TOPIC", "changes")
    assert load_settings().kafka.topics == ("changes",)
    monkeypatch.setenv("RETRAINER_KAFKA__LABEL_TOPIC", "follows")
    assert load_settings().kafka.topics == ("changes", "follows")


def test_two_groups_of_a_topic_that_nothing_tells_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_LABELS__NAME", "spotify_user_embeddings")
    with pytest.raises(SettingsError, match=r"same name spotify_user_embeddings: set RETRAINER_LABELS__NAME or __ID"):
        load_settings()
    monkeypatch.setenv("RETRAINER_LABELS__ID", "15")
    monkeypatch.setenv("RETRAINER_FEATURE_GROUP__ID", "15")
    with pytest.raises(SettingsError, match=r"same id 15: .* or RETRAINER_KAFKA__LABEL_TOPIC to its topic"):
        load_settings()
    monkeypatch.setenv("RETRAINER_LABELS__ID", "16")
    load_settings()


def test_labels_of_the_ingestion_topic_need_an_id_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__SOURCE", "ingestion")
    monkeypatch.setenv("RETRAINER_FEATURE_GROUP__ID", "15")
    monkeypatch.setenv("RETRAINER_FIT__OBJECTIVE", "both")
    with pytest.raises(SettingsError, match="needs RETRAINER_LABELS__ID"):
        load_settings()


def test_a_deployment_needs_versions_in_the_registry_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_DEPLOYMENT__NAME", "recommender")
    with pytest.raises(SettingsError, match="RETRAINER_DEPLOYMENT__NAME needs versions in the registry of a cluster"):
        load_settings()
    monkeypatch.setenv("RETRAINER_HOPSWORKS__HOST", "h")
    monkeypatch.setenv("RETRAINER_HOPSWORKS__PROJECT", "p")
    deployment = load_settings().for_trainer().deployment
    assert deployment is not None
    assert (deployment.name, deployment.ready_within) == ("recommender", 600.0)


def test_dead_letters_do_not_go_where_labels_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_DEAD_LETTERS__TOPIC", "follows")
    monkeypatch.setenv("RETRAINER_KAFKA__LABEL_TOPIC", "follows")
    with pytest.raises(SettingsError, match="RETRAINER_KAFKA__LABEL_TOPIC are both follows"):
        load_settings()
