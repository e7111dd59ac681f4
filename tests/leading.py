"""The lease for running cycles, and settings for them, for tests that claim and settle."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from consumer.cycles.leadership import Leadership
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings, TrainerProcessSettings
from stores.features.local import LocalFeatureStore
from tests.worlds import GROUP, World, names, trainer_settings


def leading(ledger: Ledger, name: str = "here") -> Leadership:
    """The lease, held by whoever comes last: all come as the same instance unless they have names."""
    leadership = Leadership(ledger.leases, name, 15.0)
    assert leadership.holds(time.time())
    return leadership


def settings_with_users(folder: Path) -> Settings:
    """Settings for cycles that take a second or two, and a feature store with 400 users."""
    rules = trainer_settings(folder)
    with closing(LocalFeatureStore(folder / "feature_store.db", GROUP)) as store:
        store.commit(World().rows(names(400)))
    return Settings(
        state_dir=folder,
        feature_group=GROUP,
        pairs=rules.pairs,
        split=rules.split,
        fit=rules.fit,
        gate=rules.gate,
        trainer=TrainerProcessSettings(retry_wait=0.1, attempts=2),
    )
