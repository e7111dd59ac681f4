"""Settings mean the same however people write them; what cannot be meant is refused in a line that names it."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.configuration.environment import config_file, from_environment
from consumer.configuration.names import known_of, variable
from consumer.configuration.writing import unquoted
from consumer.errors import SettingsError
from consumer.settings import Settings, load_settings

KNOWN = known_of(Settings)


@pytest.mark.parametrize("empty", ["", "  ", '""', "''"])
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_an_empty_variable_is_unset(suffix: str, empty: str) -> None:
    names = [f"{variable(where)}{suffix}" for where in [*KNOWN.settings, *KNOWN.sections, ("config",)]]
    assert len(names) > 150
    assert from_environment(dict.fromkeys(names, empty), KNOWN) == {}
    assert config_file(dict.fromkeys(names, empty)) is None


def test_an_empty_variable_leaves_the_file_s_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "retrainer.toml").write_text('[schedule]\nfull_retrain = "0 3 * * 0"\n[log]\nlevel = ""\n')
    monkeypatch.setenv("RETRAINER_CONFIG", str(tmp_path / "retrainer.toml"))
    monkeypatch.setenv("RETRAINER_SCHEDULE__FULL_RETRAIN", "")
    settings = load_settings()
    assert (settings.schedule.full_retrain, settings.log.level) == ("0 3 * * 0", "info")
    monkeypatch.setenv("RETRAINER_SCHEDULE__FULL_RETRAIN", "none")
    assert load_settings().schedule.full_retrain is None


def test_a_section_of_which_all_is_empty_is_not_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "retrainer.toml").write_text('[hopsworks]\nhost = ""\nproject = ""\n')
    monkeypatch.setenv("RETRAINER_CONFIG", str(tmp_path / "retrainer.toml"))
    assert load_settings().hopsworks is None


@pytest.mark.parametrize("word", ["None", "none", "null", "NULL", '"none"'])
def test_none_has_a_word(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("RETRAINER_PAIRS__MAX_POSITIVES_PER_USER", word)
    assert load_settings().pairs.max_positives_per_user is None


def test_a_section_can_be_none_and_a_password_is_taken_to_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_LABELS", "null")
    monkeypatch.setenv("RETRAINER_KAFKA__SSL_CERTFILE", os.devnull)
    monkeypatch.setenv("RETRAINER_KAFKA__SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("RETRAINER_KAFKA__SSL_PASSWORD", "null")
    settings = load_settings()
    assert settings.labels is None
    assert settings.kafka.ssl_password is not None
    assert settings.kafka.ssl_password.get_secret_value() == "null"


@pytest.mark.parametrize(
    ("written", "servers"),
    [
        ("a:9092,b:9093", ["a:9092", "b:9093"]),
        ("a:9092 b:9093", ["a:9092", "b:9093"]),
        ('["a:9092", "b:9093"]', ["a:9092", "b:9093"]),
        ('"a:9092","b:9093"', ["a:9092", "b:9093"]),
        ("'a:9092, b:9093'", ["a:9092", "b:9093"]),
        ("SASL_SSL://a:9092", ["a:9092"]),
        ("[::1]:9092,broker", ["[::1]:9092", "broker"]),
    ],
)
def test_brokers_can_be_listed_in_several_ways(
    monkeypatch: pytest.MonkeyPatch, written: str, servers: list[str]
) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__BOOTSTRAP_SERVERS", written)
    assert load_settings().kafka.bootstrap_servers == servers


@pytest.mark.parametrize("written", ["A,B", '["A", "B"]', '"A, B"', "A B"])
def test_names_can_be_listed_in_the_same_ways(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("RETRAINER_TRAINER__ENVIRONMENT", written)
    assert load_settings().trainer.environment == ("A", "B")


def test_quotes_of_a_file_of_variables_are_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_KAFKA__TOPIC", '"t"')
    monkeypatch.setenv("RETRAINER_SCHEDULE__FULL_RETRAIN", "'0 3 * * 0'")
    monkeypatch.setenv("RETRAINER_TRIGGER__CHANGED_USERS", '"7"')
    monkeypatch.setenv("RETRAINER_FEATURE_GROUP__COLUMNS", """'[{"name": "taste", "length": 8}]'""")
    settings = load_settings()
    assert (settings.kafka.topic, settings.schedule.full_retrain) == ("t", "0 3 * * 0")
    assert settings.trigger.changed_users == 7
    assert settings.feature_group.columns[0].name == "taste"


def test_line_ends_of_windows_are_no_part_of_a_value() -> None:
    variables = {"RETRAINER_KAFKA__TOPIC": "t\r", "RETRAINER_KAFKA__SASL_PASSWORD": " hush \r"}
    assert from_environment(variables, KNOWN) == {"kafka": {"topic": "t", "sasl_password": " hush "}}


@given(st.text())
def test_only_quotes_around_the_whole_are_taken_away(text: str) -> None:
    bare = unquoted(text)
    assert bare in text
    assert unquoted(f"{bare}x") == f"{bare}x".strip() or '"' in bare or "'" in bare


def test_paths_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "retrainer.toml").write_text('state_dir = "~/state"\n[ledger]\nurl = "sqlite:///~/ledger.db"\n')
    (tmp_path / "salt").write_text("pepper\n")
    monkeypatch.setenv("RETRAINER_CONFIG", "~/retrainer.toml")
    monkeypatch.setenv("RETRAINER_MODEL_REGISTRY__PATH", "~/registry")
    monkeypatch.setenv("RETRAINER_SPLIT__SALT_FILE", "~/salt")
    settings = load_settings()
    assert settings.state_dir == tmp_path / "state"
    assert settings.model_registry.model_dump()["path"] == tmp_path / "registry"
    assert settings.ledger.url == f"sqlite:///{tmp_path / 'ledger.db'}"
    assert settings.split.salt == "pepper"
    monkeypatch.setenv("RETRAINER_STATE_DIR", "~nobody-of-that-name/x")
    with pytest.raises(SettingsError, match="RETRAINER_STATE_DIR: nobody knows the home folder"):
        load_settings()


def test_a_byte_order_mark_is_no_part_of_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(codecs.BOM_UTF8 + b"hush\r\n")
    monkeypatch.setenv("RETRAINER_LEDGER__URL", "postgresql://u@localhost/d")
    monkeypatch.setenv("RETRAINER_LEDGER__PASSWORD_FILE", str(tmp_path / "secret"))
    password = load_settings().ledger.password
    assert password is not None
    assert password.get_secret_value() == "hush"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('# gr\xf6\xdfe\n[kafka]\ntopic = "t"\n'.encode("latin-1"), r"is not UTF-8 \(at line 1\); save it as UTF-8"),
        ('[kafka]\ntopic = "t"\n'.encode("utf-16"), "is written in UTF-16; save it as UTF-8"),
        (codecs.BOM_UTF8 + b'[kafka]\ntopic = "t"\n', "without a byte order mark"),
        (b"x = " + b"[" * 100_000, "is nested too deep|at line 1"),
        (b"[kafka\n", "at line 1"),
    ],
)
def test_a_file_that_is_no_toml_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "retrainer.toml").write_bytes(content)
    monkeypatch.setenv("RETRAINER_CONFIG", str(tmp_path / "retrainer.toml"))
    with pytest.raises(SettingsError, match=f"retrainer.toml: .*({message})") as caught:
        load_settings()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("service", ["", "KAFKA_", "FEATURE_STORE_", "MODEL_REGISTRY_", "TRAINER_", "HOPSWORKS_"])
def test_service_links_of_kubernetes_are_left_alone(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    links = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "80",
        "SERVICE_PORT_HTTP_METRICS": "80",
        "PORT": "tcp://10.0.0.1:80",
        "PORT_80_TCP": "tcp://10.0.0.1:80",
        "PORT_80_TCP_PROTO": "tcp",
        "PORT_80_TCP_PORT": "80",
        "PORT_80_TCP_ADDR": "10.0.0.1",
        "PORT_53_UDP": "udp://10.0.0.1:53",
    }
    before = load_settings()
    for name, value in links.items():
        monkeypatch.setenv(f"RETRAINER_{service}{name}", value)
    assert load_settings() == before


def test_files_that_others_name_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings()
    monkeypatch.setenv("RETRAINER_PID_FILE", "/run/nowhere/retrainer.pid")
    monkeypatch.setenv("RETRAINER_LOG_FILE", __file__)
    assert load_settings() == before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("KAFKA_TOPIC", "t", "RETRAINER_KAFKA__TOPIC has two underscores"),
        ("HOPSWORKS_PORT", "443", "RETRAINER_HOPSWORKS__PORT has two underscores"),
        ("KAFKA_SASL_PASSWORD_FILE", "/x", "RETRAINER_KAFKA__SASL_PASSWORD_FILE has two underscores"),
        ("KAFKA__SASL_PASWORD_FILE", "/x", "is RETRAINER_KAFKA__SASL_PASSWORD_FILE meant"),
        ("KAFKA__TOPIK", "t", "is RETRAINER_KAFKA__TOPIC meant"),
        ("_KAFKA__TOPIC", "t", "is RETRAINER_KAFKA__TOPIC meant"),
        ("STATE_DIRR_FILE", "/x", "is RETRAINER_STATE_DIR_FILE meant"),
        ("STATE_DIR__X", "t", "there is no setting or section"),
        ("CONFIG_FILE", "/x", "RETRAINER_CONFIG names the TOML file"),
        ("FEATURE_STORE__PAHT", "/x", "RETRAINER_FEATURE_STORE__PAHT: there is no such setting; is .*__PATH meant"),
        ("FEATURE_STORE__KIND", "cloud", "RETRAINER_FEATURE_STORE__KIND: "),
        ("KAFKA", '{"sasl_password": "hunter2"', "RETRAINER_KAFKA: is no JSON"),
        ("KAFKA", "[1]", "RETRAINER_KAFKA: Input should be"),
        ("KAFKA__SASL_PASSWORD", '"hunter2"', "RETRAINER_KAFKA__SASL_PASSWORD: has quotes around it"),
        ("KAFKA__BOOTSTRAP_SERVERS", "https://a:9092", "is no address of a broker, which is host:port"),
        ("KAFKA__BOOTSTRAP_SERVERS", "a:99999", "is no address of a broker"),
        ("KAFKA__BOOTSTRAP_SERVERS", '["a:9092"', "RETRAINER_KAFKA__BOOTSTRAP_SERVERS: is no JSON"),
        ("TRIGGER__CHANGED_USERS", "many", "as in RETRAINER_TRIGGER__CHANGED_USERS=500"),
        ("SCHEDULE__FULL_RETRAIN", "soon", r"as in RETRAINER_SCHEDULE__FULL_RETRAIN=0 3 \* \* 0"),
        ("FEATURE_GROUP__COLUMNS", '[{"name": "a"}]', r"COLUMNS: \[0\].length: .*; as in .*COLUMNS=\[\{\"name\""),
        ("PAIRS__MAX_POSITIVES_PER_USER", "all", "as in RETRAINER_PAIRS__MAX_POSITIVES_PER_USER=50"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"RETRAINER_{name}", value)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_and_a_file_of_it_contradict_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "topic").write_text("t")
    monkeypatch.setenv("RETRAINER_KAFKA__TOPIC", "u")
    monkeypatch.setenv("RETRAINER_KAFKA__TOPIC_FILE", str(tmp_path / "topic"))
    with pytest.raises(SettingsError, match="RETRAINER_KAFKA__TOPIC and RETRAINER_KAFKA__TOPIC_FILE are both set"):
        load_settings()


def test_an_empty_secret_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    monkeypatch.setenv("RETRAINER_KAFKA__SASL_PASSWORD_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingsError, match=r"RETRAINER_KAFKA__SASL_PASSWORD_FILE: .* is empty"):
        load_settings()


@pytest.mark.parametrize("where", KNOWN.settings, ids=variable)
def test_every_example_is_a_value(monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...]) -> None:
    example = KNOWN.settings[where].example
    if example is None:
        return
    for name, value in {"RETRAINER_HOPSWORKS__HOST": "h", "RETRAINER_HOPSWORKS__PROJECT": "p"}.items():
        monkeypatch.setenv(name, value)
    if where[0] in {"feature_store", "model_registry"}:
        monkeypatch.setenv(f"RETRAINER_{where[0].upper()}__KIND", "hopsworks")
    if where[0] == "deployment":
        monkeypatch.setenv("RETRAINER_DEPLOYMENT__NAME", "recommender")
    monkeypatch.setenv(variable(where), example)
    load_settings()


def test_one_entry_of_a_mapping_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_LABELS__WORDS__LIKE", "true")
    labels = load_settings().labels
    assert labels is not None
    assert labels.words == {"like": True}
