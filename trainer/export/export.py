"""Exports one version: fetched from the registry, written as a SavedModel, warmed up, put in place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from schemas.jobs.saved_model import Exported, ExportRequest
from schemas.manifest import MODEL_FILE, ModelManifest
from stores.errors import StoreError
from stores.feature_store import Floats
from stores.registry.files import read_manifest
from stores.registry.opening import open_registry
from trainer.export.placing import locked, make_highest, put_in_place
from trainer.model import load
from trainer.run import open_store
from trainer.serving.rows import drawn_rows, real_rows
from trainer.serving.saved_model import write_saved_model
from trainer.serving.warm_up import write_warm_up


def export(request: ExportRequest, tell: Callable[[str], None]) -> Exported:
    """Bring a version where it is served from. Repeating it changes nothing.

    Args:
        request: which version, and where.
        tell: gets a line about each step.

    Raises:
        RegistryError: there is no such version, or it does not load.
        ExportError: the place is taken by something that is not ours.
        OSError: the folder cannot be written.
    """
    settings, version = request.settings, request.version
    tell(f"fetching version {version} of {settings.model_name}")
    folder = open_registry(settings).fetch(version)
    manifest = read_manifest(folder)

    def write(to: Path) -> Exported:
        tell("writing the SavedModel")
        write_saved_model(load(folder / MODEL_FILE), to)
        rows, source = _rows(request, manifest, tell)
        requests = write_warm_up(to, settings.model_name, rows)
        return Exported(
            model_name=settings.model_name,
            version=version,
            cycle_id=manifest.cycle_id,
            warm_up_requests=requests,
            warm_up_rows="feature store" if source else "drawn",
        )

    with locked(request.out, settings.model_name):
        exported = put_in_place(request.out, settings.model_name, version, manifest.cycle_id, write)
        if request.highest:
            for gone in make_highest(request.out, settings.model_name, version, request.keep):
                tell(f"removed version {gone}")
    return exported


def _rows(request: ExportRequest, manifest: ModelManifest, tell: Callable[[str], None]) -> tuple[Floats, bool]:
    """Rows to warm up with, and whether they are real ones: nobody goes without a model for want of them."""
    group = manifest.feature_group
    tell("reading rows to warm up with")
    try:
        with closing(open_store(request.settings.model_copy(update={"feature_group": group}))) as store:
            rows = real_rows(store, group)
        if len(rows):
            return rows, True
        why = "the feature store has no sound row"
    except StoreError as error:
        why = str(error)
    tell(f"warming up with drawn rows: {why}")
    return drawn_rows(manifest.space, group), False
