"""Each beginning is a settings file that loads, also with every setting in it that may be wanted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from consumer.settings import Settings, load_settings
from retrainer.beginnings import Beginning, written

FEATURE_GROUP = '[feature_group]\nprimary_key = "id"\ncolumns = [\n  { name = "likes", length = 3 },\n]'


def loaded(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "secret").write_text("a-secret")
    secrets = {"^[[]hopsworks[]]": "RETRAINER_HOPSWORKS__API_KEY_FILE", "^sasl_": "RETRAINER_KAFKA__SASL_PASSWORD_FILE"}
    for wanted, secret in secrets.items():
        if re.search(wanted, text, re.MULTILINE):
            monkeypatch.setenv(secret, str(tmp_path / "secret"))
    path = tmp_path / "retrainer.toml"
    path.write_text(text)
    return load_settings(path)


@pytest.mark.parametrize("beginning", Beginning)
@pytest.mark.parametrize("group", [None, FEATURE_GROUP])
def test_it_loads_as_it_is_written(
    beginning: Beginning, group: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(written(beginning, group), tmp_path, monkeypatch)
    assert settings.feature_group.primary_key == ("id" if group else "user_id")
    assert (settings.hopsworks is not None) == (beginning is Beginning.HOPSWORKS)


@pytest.mark.parametrize("beginning", Beginning)
def test_it_loads_with_all_that_may_be_wanted(
    beginning: Beginning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").touch()
    text = re.sub("^# ", "", written(beginning), flags=re.MULTILINE).replace("/etc/retrainer", str(tmp_path))
    assert loaded(text, tmp_path, monkeypatch).schedule.full_retrain == "0 3 * * 0"


@pytest.mark.parametrize("beginning", Beginning)
def test_every_line_fits_a_terminal_and_every_setting_says_what_it_means(beginning: Beginning) -> None:
    lines = written(beginning).splitlines()
    assert max(map(len, lines)) <= 100
    settings = [at for at, line in enumerate(lines) if re.match(r"(# )?[a-z_]+ = ", line)]
    assert settings
    assert all(lines[at - 1].startswith("## ") for at in settings)


@pytest.mark.parametrize("beginning", Beginning)
def test_a_trial_has_one_changed_row_make_a_version(
    beginning: Beginning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written(beginning, FEATURE_GROUP, trial=True)
    settings = loaded(text, tmp_path, monkeypatch)
    assert (settings.trigger.changed_users, settings.trigger.min_interval) == (1, 5.0)
    assert settings.gate.register_unchanged
    assert text.count("trying things out") + text.count("trying things\n## out") == 5
    assert len(re.findall("^changed_users = ", text, re.MULTILINE)) == 1


def test_nothing_of_a_trial_is_in_a_file_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(written(Beginning.FILES), tmp_path, monkeypatch)
    assert (settings.trigger.changed_users, settings.gate.register_unchanged, settings.gate.negligible) == (
        100,
        False,
        0,
    )
