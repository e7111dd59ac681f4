"""Ten held-out users with their nearest before and after, those first whose neighbourhood has changed most."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from schemas.evidence import ModelName, Neighbour, Neighbourhood
from trainer.exam.evaluate import Score
from trainer.exam.exam import Exam
from trainer.exam.retrieval import Best
from trainer.matrix.embeddings import Rows
from trainer.pairs.similarity import similarity

_SHOWN = 10
_DIGITS = 4


def neighbourhoods(
    scores: Mapping[ModelName, Score],
    exam: Exam,
    keys_of: Callable[[Rows], dict[int, str]],
    claimed: Collection[str],
) -> tuple[Neighbourhood, ...]:
    """The users of `exam` of whose nearest the challenger keeps the fewest; the first ten where there is one model.

    Args:
        scores: of challenger and champion, where there are such.
        exam: the exam that both have sat.
        keys_of: gives the users of rows.
        claimed: users whose change the cycle was to learn.
    """
    before, after = (scores[name].best if name in scores else None for name in ("champion", "challenger"))
    if not len(exam.queries) or not exam.nearest:
        return ()
    kept = _kept(before, after)
    order = np.arange(len(exam.queries)) if kept is None else np.argsort(kept, kind="stable")
    chosen = order[:_SHOWN]
    rows = np.concatenate([exam.queries[chosen], *(best.rows[chosen].ravel() for best in (before, after) if best)])
    names = keys_of(np.unique(rows[rows >= 0]))
    return tuple(
        Neighbourhood(
            user=names[int(exam.queries[at])],
            claimed=names[int(exam.queries[at])] in claimed,
            kept=exam.nearest if kept is None else int(kept[at]),
            before=_nearest(before, exam, int(at), names),
            after=_nearest(after, exam, int(at), names),
        )
        for at in chosen
    )


def _kept(before: Best | None, after: Best | None) -> Rows | None:
    """(queries,) how many of the nearest both models have; None where there is one model only."""
    if before is None or after is None:
        return None
    both = (before.rows[:, :, None] == after.rows[:, None, :]) & np.isfinite(before.values)[:, :, None]
    found: Rows = both.any(axis=2).sum(axis=1)
    return found


def _nearest(best: Best | None, exam: Exam, at: int, names: Mapping[int, str]) -> tuple[Neighbour, ...]:
    if best is None:
        return ()
    there = np.isfinite(best.values[at])
    rows, values = best.rows[at][there], best.values[at][there]
    features = similarity(exam.directions, np.full(len(rows), exam.queries[at]), rows)
    return tuple(
        Neighbour(user=names[int(row)], cosine=round(float(cosine), _DIGITS), features=round(float(own), _DIGITS))
        for row, cosine, own in zip(rows, values, features, strict=True)
    )
