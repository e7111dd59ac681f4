"""Runs the steps, in a session of their own."""

from __future__ import annotations

from collections.abc import Iterator

from consumer.errors import ConsumerError, SettingsError
from consumer.settings import Settings
from retrainer.setup.made import Step
from retrainer.setup.ray_job import ray_job
from retrainer.setup.steps import Setup, Wishes
from schemas.events import Group
from stores.errors import StoreError
from stores.hopsworks.private_folder import PrivateFolder


def set_up(settings: Settings, wishes: Wishes) -> Iterator[Step]:
    """Do the steps, and yield each when it is done.

    Raises:
        SettingsError: the settings name no cluster.
        ConsumerError: a step failed, or would take something from another user; the steps before stay done.
    """
    if settings.hopsworks is None:
        raise SettingsError("no cluster is named: set RETRAINER_HOPSWORKS__HOST and RETRAINER_HOPSWORKS__PROJECT")
    from stores.hopsworks.facts import group_facts
    from stores.hopsworks.groups import differences, find_group
    from stores.hopsworks.session import end_session, session_with

    certificates = PrivateFolder("setup")
    try:
        session = session_with(settings.hopsworks)
        contracts: list[Group] = [settings.feature_group, *([settings.labels] if settings.labels is not None else [])]
        groups = [find_group(session, contract) for contract in contracts]
        for contract, group in zip(contracts, groups, strict=True):
            if found := differences(group, contract):
                raise ConsumerError(f"feature group {contract.name} is not as set: {'; '.join(found)}")
        facts = group_facts(session, settings.feature_group, settings.labels, certificates.path)
        for contract, group in zip(contracts, groups, strict=True):
            yield from Setup(settings, session, contract, group, facts, wishes).run()
        if wishes.ray_job is not None:
            yield ray_job(session, wishes.ray_job, wishes.ray_workers, dry_run=wishes.dry_run)
    except StoreError as error:
        raise ConsumerError(str(error)) from None
    finally:
        end_session()
        certificates.remove()
