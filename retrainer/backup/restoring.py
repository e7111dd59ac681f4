"""Restoring a backup: an empty ledger becomes the one of the backup, and local stores that are missing come back.

After a restore the ledger may know less than was served: versions that were registered after the backup. So numbers are
skipped. At most one version a minute is supposed since the backup; a registry that is there says more.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, func, select

from consumer.database.engine import make_engine
from consumer.database.tables import SCHEMA_VERSION, versions
from consumer.ledger.copying import copy_ledger, skip_versions
from consumer.ledger.ledger import file_of, open_ledger
from consumer.settings import Settings
from retrainer.backup.contents import FEATURE_STORE, LEDGER, REGISTRY, BackupError, Contents, contents_of
from schemas.cycle import LocalRegistry, LocalStore
from schemas.private import private_file, private_folder

_SECONDS_A_VERSION = 60.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has done."""

    contents: Contents
    feature_store: bool
    """Whether the local feature store was restored; one that was there is left as it is."""
    registry: bool
    """Whether the local registry was restored; as above."""
    next_version: int
    """The lowest number that the next version may get."""


def restore(settings: Settings, folder: Path, now: datetime, copied: Callable[[int], None]) -> Restored:
    """Restore a backup. The service must not run: the caller holds the state folder.

    Args:
        settings: name the ledger and the stores.
        folder: of the backup.
        now: the time, by which the numbers to skip are reckoned.
        copied: called with the rows of the ledger that are restored so far.

    Raises:
        BackupError: the folder is no backup, or a later release's, or there is a ledger file already.
        LedgerError: the database has a ledger already.
    """
    contents = contents_of(folder)
    if contents.schema_version > SCHEMA_VERSION:
        raise BackupError(
            f"{folder} holds a ledger of schema {contents.schema_version}, this release has {SCHEMA_VERSION}: use "
            f"release {contents.release}, or a later one"
        )
    highest = _restore_ledger(settings, folder, contents, now, copied)
    return Restored(contents, _restore_store(settings, folder), _restore_registry(settings, folder), highest + 1)


def numbers_to_skip(known: int, taken_at: datetime, now: datetime) -> int:
    """The highest number that a version may have got since a backup whose highest is `known`."""
    since = max(0.0, (now - taken_at).total_seconds())
    return known + int(since // _SECONDS_A_VERSION) + 1


def _restore_ledger(
    settings: Settings, folder: Path, contents: Contents, now: datetime, copied: Callable[[int], None]
) -> int:
    if (file := file_of(settings.ledger.url)) is not None:
        if file.exists():
            raise BackupError(f"there is a ledger at {file}; move it away first, a restore overwrites nothing")
        private_folder(file.parent)
        private_file(file)
    target = make_engine(settings.ledger.url)
    try:
        with _saved_ledger(folder) as source:
            copy_ledger(source, target, copied)
            known = max([_highest(source), *_in_registries(settings, contents)])
        highest = numbers_to_skip(known, contents.taken_at, now)
        skip_versions(target, highest)
    except BaseException:
        if file is not None:
            file.unlink(missing_ok=True)
        raise
    finally:
        target.dispose()
    return highest


@contextmanager
def _saved_ledger(folder: Path) -> Iterator[Engine]:
    """The ledger of a backup, brought up to date in a copy: the backup stays as it is."""
    with TemporaryDirectory(prefix="retrainer-restore-") as scratch:
        shutil.copy2(folder / LEDGER, scratch)
        with closing(open_ledger(f"sqlite:///{Path(scratch) / LEDGER}")) as saved:
            yield saved.engine


def _highest(source: Engine) -> int:
    """The highest number of a version on record."""
    with source.connect() as connection:
        return connection.scalar(select(func.max(versions.c.version))) or 0


def _in_registries(settings: Settings, contents: Contents) -> list[int]:
    """The numbers of the versions that the backup has, and of those that are in the local registry now."""
    found = list(contents.registry_versions or ())
    if isinstance(settings.model_registry, LocalRegistry):
        there = settings.model_registry.path / settings.model_name
        found += [int(path.name) for path in there.glob("*") if path.name.isdecimal()]
    return found


def _restore_store(settings: Settings, folder: Path) -> bool:
    store, saved = settings.feature_store, folder / FEATURE_STORE
    if not isinstance(store, LocalStore) or not saved.exists() or store.path.exists():
        return False
    store.path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(saved, store.path)
    return True


def _restore_registry(settings: Settings, folder: Path) -> bool:
    registry = settings.model_registry
    if not isinstance(registry, LocalRegistry) or not (folder / REGISTRY).is_dir() or registry.path.exists():
        return False
    shutil.copytree(folder / REGISTRY, registry.path)
    return True
