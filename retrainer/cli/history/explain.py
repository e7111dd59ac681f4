"""`retrainer explain`: what became of one user."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import typer

from consumer.ledger.ledger import open_ledger
from consumer.settings import Settings, load_settings
from retrainer.cli.history.asking import NoAnswer, ask, published
from retrainer.cli.history.parts import draw
from retrainer.cli.history.user import UserStory, user_story
from retrainer.cli.history.user_rows import user_parts
from retrainer.cli.output import say, say_json
from schemas.jobs.explanation import ExplainRequest, Explanation, Found

_FAILED = 1


def explain(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id.", show_default=False)],
    nearest: Annotated[int, typer.Option(min=0, max=1000, help="So many of the nearest; 0 loads no model.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what became of a user: which version learned its last change, when, and what it changed.

    Its nearest users are shown by the version before that one and by the champion, both on today's rows. Of a user whom
    the feature store has no more, every place that could still hold it is looked at. Exit code 1 where one does, or
    where that cannot be found out.
    """
    settings = load_settings()
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        story = user_story(ledger, user)
    found, trouble = _asked(settings, story, nearest)
    if as_json:
        say_json(_for_machines(story, found, trouble))
    else:
        draw(user_parts(story, found))
        if trouble:
            say(f"retrainer: {trouble}", err=True)
    told = {one.found for one in found.traces} if found else set()
    if trouble or told & {Found.HELD, Found.UNKNOWN} or (found and found.in_store is None):
        raise typer.Exit(_FAILED)


def _asked(settings: Settings, story: UserStory, nearest: int) -> tuple[Explanation | None, str | None]:
    """What the trainer room knows, or why it does not say."""
    request = ExplainRequest(
        user=story.user,
        settings=settings.for_trainer(),
        nearest=nearest,
        now_version=story.now_version,
        before_version=story.before_version,
        champion_cycle=story.champion["cycle_id"] if story.champion else None,
        last_settled_cycle=story.last_settled,
        vectors=published(settings),
        vector_group=settings.vectors.feature_group,
    )
    try:
        return ask(settings, request), None
    except NoAnswer as trouble:
        return None, str(trouble)


def _for_machines(story: UserStory, found: Explanation | None, trouble: str | None) -> dict[str, Any]:
    room = found.model_dump(mode="json") if found else dict.fromkeys(Explanation.model_fields)
    return {**story.record(), **room, "trouble": trouble}
