"""Ten waves of drift learned by incremental cycles only: has the model kept up with one trained from scratch?"""

from __future__ import annotations

from benchmarks.rows import Row, Setup, figure
from benchmarks.site import Site
from benchmarks.worlds import WORLDS
from schemas.cycle import CycleResult, Outcome
from stores.features.local import LocalFeatureStore
from trainer.exam.evaluate import score

NAME = "cycle.keeps_up"
_WORLDS = {
    "rotation": "100 independent numbers at a time, which turn through 300",
    "directions_100": "newcomers bring 100 more independent numbers to 100, the towers hold 128",
}
"""The first gives the row that counts; the others rows of their own."""
_SHARE = 0.05


def keeps_up(setup: Setup) -> list[Row]:
    """In each world: both models on one exam of the final rows in the newest space."""
    first, *_ = _WORLDS
    return [_in_world(setup, name, NAME if name == first else f"{NAME}.{name}") for name in _WORLDS]


def _in_world(setup: Setup, name: str, row: str) -> Row:
    """Users of a cycle that comes to nothing are learned by the next one, as the service does it."""
    (folder := setup.folder / name).mkdir()
    users, waves = setup.size(3_000, 400), setup.size(10, 2)
    world = WORLDS[name](users, waves, _SHARE, 0)
    store = LocalFeatureStore(folder / "store.db", world.group)
    store.commit(world.initial)
    follower, fresh = (Site(folder / site, folder / "store.db", world.group) for site in ("follower", "fresh"))
    _registered(follower.run("first", []))
    registered = learned = 0
    pending: dict[str, None] = {}
    for number, wave in enumerate(world.waves):
        store.commit(wave.rows)
        pending |= dict.fromkeys(wave.announced)
        result = follower.run(f"wave-{number}", list(pending))
        learned += bool(result.fit and result.fit.learned)
        if result.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}:
            pending = {}
        registered += result.version is not None
    retrained = _registered(fresh.run("fresh", []))
    store.close()
    exam = fresh.exam(retrained)
    assert follower.champion is not None
    one, other = (
        score(site.model(at), exam).metrics for site, at in ((follower, follower.champion), (fresh, retrained))
    )
    accuracy, recall = one.accuracy - other.accuracy, one.recall_at_10 - other.recall_at_10
    note = (
        f"{users:,} users, {waves} waves of {name}: {_WORLDS[name]}; "
        f"{learned} cycles learned, {registered} registered; "
        f"difference of accuracy {accuracy:+.4f}, of recall@10 {recall:+.4f}"
    )
    return figure(
        row,
        one.accuracy,
        "accuracy",
        least=other.accuracy - 0.005,
        peer="trained from scratch on the final rows",
        theirs=other.accuracy,
        also=("recall@10 >= -0.02", recall >= -0.02),
        note=note,
    )


def _registered(result: CycleResult) -> int:
    if result.version is None:
        raise RuntimeError(f"cycle {result.cycle_id} was {result.outcome}: {result.reason}")
    return result.version
