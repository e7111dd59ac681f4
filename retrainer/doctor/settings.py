"""The settings, which every other check needs."""

from __future__ import annotations

import os

from consumer.configuration.environment import CONFIG_VARIABLE
from consumer.configuration.names import PREFIX
from consumer.errors import SettingsError
from consumer.settings import Settings
from retrainer.doctor.checks import Check, Finding, failed, ok
from retrainer.doctor.lookup import Lookup

NAME = "settings"


def settings_check(load: Lookup[Settings]) -> Check:
    """Whether the settings can be loaded."""
    return Check(NAME, lambda: _look(load))


def _look(load: Lookup[Settings]) -> Finding:
    try:
        settings = load()
    except SettingsError as error:
        return failed(
            str(error), f"mend the setting named above, in the environment or in the file of {CONFIG_VARIABLE}"
        )
    variables = sum(name.startswith(PREFIX) and name != CONFIG_VARIABLE for name in os.environ)
    where = f" and {path}" if (path := os.environ.get(CONFIG_VARIABLE)) else ""
    store, registry = settings.feature_store.kind, settings.model_registry.kind
    return ok(f"from the environment ({variables} variables){where}; feature store {store}, model registry {registry}")
