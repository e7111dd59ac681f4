"""Taking a backup while the service runs: ledger, and the stores that lie on this machine.

Trainers' spaces are not in it: they are made again from the feature store. Secrets and settings are not in it, either.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from consumer.database.engine import make_engine
from consumer.database.tables import SCHEMA_VERSION
from consumer.ledger.copying import copy_ledger
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from retrainer.backup.contents import FEATURE_STORE, FILE, LEDGER, REGISTRY, BackupError, Contents
from schemas.cycle import LocalRegistry, LocalStore
from schemas.private import private_file, private_folder
from stores.files import flush_folder


def take_backup(settings: Settings, ledger: Ledger, folder: Path, copied: Callable[[int], None]) -> Contents:
    """Write a backup into a new folder.

    Args:
        settings: name the stores.
        ledger: open; it may be in use.
        folder: must not be there yet.
        copied: called with the rows of the ledger that are copied so far.

    Raises:
        BackupError: the folder is there already, or cannot be written.
    """
    if folder.exists():
        raise BackupError(f"{folder} is there already; a backup goes to a folder of its own")
    beside = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.parent.mkdir(parents=True, exist_ok=True)
        private_folder(beside)
        # The ledger first: a version that it names is then in the registry, which is copied after it.
        rows = _ledger(ledger, beside / LEDGER, copied)
        found = Contents(
            taken_at=datetime.now(UTC),
            release=_release(),
            ledger_id=ledger.ledger_id,
            schema_version=SCHEMA_VERSION,
            rows=rows,
            feature_store=_feature_store(settings, beside / FEATURE_STORE),
            registry_versions=_registry(settings, beside / REGISTRY),
            model_name=settings.model_name,
        )
        (beside / FILE).write_text(found.model_dump_json(indent=2) + "\n")
        flush_folder(beside)
        beside.rename(folder)
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return found


def _ledger(ledger: Ledger, file: Path, copied: Callable[[int], None]) -> dict[str, int]:
    """A copy as SQLite, whatever the ledger's engine."""
    private_file(file)
    target = make_engine(f"sqlite:///{file}")
    try:
        rows = copy_ledger(ledger.engine, target, copied)
        with target.connect() as connection:  # one file is easier to carry away than three
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
        return rows
    finally:
        target.dispose()


def _feature_store(settings: Settings, file: Path) -> bool:
    """SQLite's own copy of a file that is in use; False where the store is none of ours, or not there yet."""
    store = settings.feature_store
    if not isinstance(store, LocalStore) or not store.path.exists():
        return False
    private_file(file)
    with closing(sqlite3.connect(store.path)) as source, closing(sqlite3.connect(file)) as target:
        source.backup(target, pages=4096)
    return True


def _registry(settings: Settings, folder: Path) -> tuple[int, ...] | None:
    """Every version that is there; a version never changes, but retention may delete one while it is copied."""
    registry = settings.model_registry
    if not isinstance(registry, LocalRegistry):
        return None
    source = registry.path / settings.model_name
    into = folder / settings.model_name
    into.mkdir(parents=True)
    for path in sorted(source.glob("*")) if source.is_dir() else ():
        if path.is_dir() and path.name.isdecimal():
            _version(path, into / path.name)
        elif path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, into / path.name)
    return tuple(sorted(int(path.name) for path in into.iterdir() if path.is_dir()))


def _version(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target)
    except (FileNotFoundError, shutil.Error):
        shutil.rmtree(target, ignore_errors=True)
        if source.is_dir():
            raise


def _release() -> str:
    try:
        return version("retrainer")
    except PackageNotFoundError:
        return "unknown"
