"""`retrainer export`: a version as TensorFlow Serving takes it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from consumer.deployment.export_process import ExportFailed, ExportProcess
from consumer.ledger.ledger import open_ledger
from consumer.settings import Settings, load_settings
from retrainer.cli.output import facts, say, say_json
from schemas.jobs.saved_model import ExportRequest, folder_of


def export(
    version: Annotated[int | None, typer.Argument(min=1, help="The version; without one the champion.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the models; it is made where it is missing. [default: RETRAINER_EXPORT__OUT]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: what was written, and where.")] = False,
) -> None:
    """Write a version for TensorFlow Serving: a SavedModel with warm-up requests, in OUT/MODEL/VERSION.

    The folder appears whole or not at all, so a server may watch it meanwhile. Other versions there stay as they are;
    TensorFlow Serving takes the highest unless it is told otherwise. A version that is there already is left as it is.
    """
    settings = load_settings()
    if (folder := out or settings.export.out) is None:
        raise typer.BadParameter("say where to with --out, or set RETRAINER_EXPORT__OUT", param_hint="--out")
    number = version or _champion(settings)
    request = ExportRequest(settings=settings.for_trainer(), version=number, out=folder.absolute())
    exported = ExportProcess(settings).run(request, lambda step: say(f"{step} ...", err=True))
    place = folder_of(request.out, exported.model_name, exported.version)
    if as_json:
        say_json({**exported.model_dump(mode="json"), "folder": str(place)})
        return
    facts(
        {
            "version": f"{exported.version} of {exported.model_name}, by cycle {exported.cycle_id}",
            "folder": str(place),
            "signatures": "\n".join(
                f"{name}: {', '.join(inputs)} -> {output}" for name, (inputs, output) in exported.signatures.items()
            ),
            "warm-up": f"{exported.warm_up_requests} requests, with rows of the feature store"
            if exported.warm_up_rows == "feature store"
            else f"{exported.warm_up_requests} requests, with rows drawn at random",
        }
    )


def _champion(settings: Settings) -> int:
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        found = ledger.views.history().champion
    if found is None:
        raise ExportFailed("no version is registered yet; `retrainer train` trains the first one")
    return found
