"""`retrainer init`: a settings file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrainer.beginnings import Beginning, written
from retrainer.cli.output import say


def init(
    beginning: Annotated[Beginning, typer.Argument(help="files: all on this machine; kafka: your brokers; hopsworks.")],
    out: Annotated[Path, typer.Option(help="The file to write; one that is there is left alone.")] = Path(
        "retrainer.toml"
    ),
    users: Annotated[
        Path | None, typer.Option("--from", help="A file of users: its columns become the feature group's.")
    ] = None,
    sample: Annotated[
        Path | None, typer.Option(help="A CSV to write first: 600 generated users, for whoever has no file at hand.")
    ] = None,
    key: Annotated[str, typer.Option(help="Column of the user id in that file.")] = "user_id",
    trial: Annotated[
        bool, typer.Option("--trial", help="For trying out: each change starts a cycle at once and makes a version.")
    ] = False,
) -> None:
    """Write a settings file with comments, for one of three beginnings, and say what to do next."""
    if sample is not None:
        # Here, as generating users needs NumPy.
        from retrainer.importing.sample import write_sample

        if users is not None:
            raise typer.BadParameter("--from takes users that are there, --sample makes some; give one of them")
        if out.exists():
            raise _there(out)
        write_sample(sample)
        say(f"wrote {sample}, with generated users")
        users = sample
    feature_group = None
    if users is not None:
        # Here, as reading files needs NumPy and Arrow.
        from retrainer.importing.layout import found_in, proposal
        from retrainer.importing.sources import first_rows, source

        feature_group = proposal(found_in(first_rows(source(users, (key,))), key), key)
    text = written(beginning, feature_group, trial=trial)
    try:
        with out.open("x") as file:
            file.write(text)
    except FileExistsError:
        raise _there(out) from None
    say(f"wrote {out}. Next:")
    say(f"  export RETRAINER_CONFIG={out}")
    for line in _NEXT[beginning]:
        say(f"  {line.replace('users.parquet', str(users or 'users.parquet'))}")


def _there(out: Path) -> typer.BadParameter:
    return typer.BadParameter(f"{out} is there already; --out names another file, or remove it")


_NEXT = {
    Beginning.FILES: ["retrainer broker &", "retrainer import users.parquet", "retrainer run"],
    Beginning.KAFKA: ["retrainer doctor", "retrainer import users.parquet", "retrainer run"],
    Beginning.HOPSWORKS: ["retrainer setup-hopsworks", "retrainer doctor", "retrainer run"],
}
