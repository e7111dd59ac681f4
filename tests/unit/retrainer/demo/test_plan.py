"""The demo's settings are settings of the real service, and nobody else's."""

from pathlib import Path

import pytest

from consumer.settings import load_settings
from retrainer.demo import lastfm
from retrainer.demo.plan import Plan, inherited
from schemas.cycle import LocalRegistry, LocalStore
from schemas.labels import LabelGroup


def test_generated_listeners_fill_the_seeds_feature_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(state=tmp_path / "demo", users=3000)
    for name, value in plan.settings("127.0.0.1:4444").items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.kafka.bootstrap_servers == ["127.0.0.1:4444"]
    assert settings.feature_group.name == "spotify_user_embeddings"
    assert [column.length for column in settings.feature_group.columns] == [100, 100, 100, 1]
    assert settings.pairs.similarity_threshold == 0.8
    assert settings.state_dir == tmp_path / "demo"
    assert settings.model_registry == LocalRegistry(path=dict(plan.places())["model registry"])
    assert settings.feature_store == LocalStore(path=dict(plan.places())["feature store"])
    assert settings.ledger.url.endswith(str(dict(plan.places())["ledger"]))
    assert plan.simulator[-2:] == ["--users", "3000"]
    assert settings.fit.objective.has_outcomes
    assert settings.labels == LabelGroup()


def test_real_listeners_have_a_feature_group_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(state=tmp_path, data=tmp_path / "user_artists.dat")
    for name, value in plan.settings("127.0.0.1:4444").items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.feature_group.name != "spotify_user_embeddings"
    assert settings.feature_group.columns == lastfm.COLUMNS
    assert settings.pairs.similarity_threshold == lastfm.SIMILARITY_THRESHOLD
    assert plan.simulator[-2:] == ["--data", str(tmp_path / "user_artists.dat")]
    assert settings.labels is None
    assert "--spam-wave" not in plan.simulator


def test_real_listeners_with_a_file_of_friends_are_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user_friends.dat").write_text("userID\tfriendID\n")
    plan = Plan(state=tmp_path, data=tmp_path / "user_artists.dat")
    for name, value in plan.settings("127.0.0.1:4444").items():
        monkeypatch.setenv(name, value)
    assert load_settings().fit.objective.has_outcomes
    assert plan.whom.endswith("user_artists.dat and their friends")


def test_a_wave_starts_a_cycle_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Plan(state=tmp_path).settings("127.0.0.1:4444").items():
        monkeypatch.setenv(name, value)
    trigger = load_settings().trigger
    assert trigger.quiet_period <= 1
    assert trigger.min_interval == 0
    assert trigger.changed_labels <= 100
    assert trigger.changed_users <= 100  # less than the smallest wave of 2,400 users has
    assert trigger.max_staleness <= 30


_MENDED = "an upstream bug spoils wave 2, wave 3 mends it"


@pytest.mark.parametrize(
    ("waves", "told"),
    [
        (0, "then no waves of changes"),
        (1, "then 1 wave of changes"),
        (2, "then 2 waves of changes: an upstream bug spoils wave 2, and it ends with that"),
        (4, f"then 4 waves of changes: {_MENDED}"),
        (5, f"then 5 waves of changes: {_MENDED}; wave 5 is spam, and it ends with that"),
        (7, f"then 7 waves of changes: {_MENDED}; wave 5 is spam, wave 6 deletes it"),
    ],
)
def test_it_says_which_waves_are_bad_where_it_comes_so_far(waves: int, told: str) -> None:
    plan = Plan(state=Path("var/demo"), waves=waves)
    assert plan.changes == told
    assert plan.simulator[plan.simulator.index("--bug-wave") + 1] == "2"
    assert plan.simulator[plan.simulator.index("--spam-wave") + 1] == "5"


def test_a_demo_does_not_inherit_somebodys_production_settings() -> None:
    ours = {"PATH": "/bin", "RETRAINER_KAFKA__SASL_PASSWORD": "secret", "RETRAINER_CONFIG": "production.toml"}
    assert inherited(ours, {"RETRAINER_STATE_DIR": "var"}) == {"PATH": "/bin", "RETRAINER_STATE_DIR": "var"}
