"""Ten users with their nearest before and after, a table each."""

from __future__ import annotations

from schemas.evidence import Evidence, Neighbour, Neighbourhood
from trainer.report.html import Raw, element, joined, table


def neighbours(evidence: Evidence) -> Raw:
    """Ten users with their nearest before and after; the first one unfolded."""
    found = evidence.neighbourhoods
    if not found:
        return Raw("")
    both = any(one.before and one.after for one in found)
    which = (
        "The ten held-out users of whose ten nearest the challenger keeps the fewest"
        if both
        else "Ten held-out users with their nearest"
    )
    told = (
        f"{which}. Both models see today's features, so what differs is the model alone. The first number is the "
        f"cosine by the model, the second the cosine of the features: above {evidence.threshold:g} the two are similar."
    )
    shown = [_neighbourhood(one, opened=not number) for number, one in enumerate(found)]
    return joined([element("p", told), element("div", *shown, class_="neighbours")])


def _neighbourhood(one: Neighbourhood, *, opened: bool) -> Raw:
    sides = {"before": one.before, "now": one.after} if one.before and one.after else {"now": one.after or one.before}
    size = max(map(len, sides.values()), default=0)
    kept = f"{one.kept} of {size} kept" if len(sides) > 1 else f"{size} nearest"
    summary = element("summary", element("strong", one.user), f" {kept}{', changed in this cycle' * one.claimed}")
    others = {
        "before": {each.user for each in one.after} or None,
        "now": {each.user for each in one.before} or None,
    }
    rows = [
        (
            str(rank + 1),
            *(_cell(side[rank], others[name], name) if rank < len(side) else "" for name, side in sides.items()),
        )
        for rank in range(size)
    ]
    drawn = table(f"Nearest users of {one.user}", ("", *sides), rows, figures=False)
    inner = joined([summary, drawn])
    return Raw(f"<details{' open' if opened else ''}>{inner}</details>")


def _cell(one: Neighbour, others: set[str] | None, side: str) -> Raw:
    tag = Raw("")
    if others is not None and one.user not in others:
        word = "gone" if side == "before" else "new"
        tag = joined([" ", element("span", word, class_=f"tag {word}")])
    figures = element("span", f"{one.cosine:.2f}, {one.features:.2f}", class_="quiet")
    return joined([one.user, tag, Raw("<br>"), figures])
