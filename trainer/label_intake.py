"""What a cycle takes in of labels: those claimed as the label group has them now, or all of them."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.cycle import CycleRequest, LabelReport, Step
from schemas.labels import LabelGroup, PairKey, pair_text
from schemas.refused import NAMED
from stores.label_store import LabelStore
from stores.labels.checks import CheckedLabels
from stores.labels.reading import absent, read_all, read_pairs
from trainer.labels.book import KnownLabels, LabelBook
from trainer.matrix.split import Part
from trainer.progress import Reporter
from trainer.space import Space


@dataclass(frozen=True, slots=True)
class LabelIntake:
    """What was read of labels.

    Attributes:
        labels: those that are sound.
        deleted: claimed ones that the group does not hold.
        whole: whether all of the group's were read, so that whatever else was known is gone.
        known: how many there were before.
        lost: how many of those are there no more.
    """

    group: LabelGroup
    labels: CheckedLabels
    deleted: list[PairKey]
    whole: bool
    known: int
    lost: int

    def into(self, book: LabelBook) -> None:
        """Bring the book up to what was read; refused labels leave it, as a full re-read would not have them (P3)."""
        if self.whole:
            book.replace(self.group, self.labels)
        else:
            book.apply(self.labels, [*self.deleted, *self.labels.refused])

    def report(self, known: KnownLabels, book: LabelBook) -> LabelReport:
        """What became of them, and what is known of labels now."""
        outcomes, refused = known.outcomes, self.labels.refused
        positives = int(outcomes.positive.sum())
        return LabelReport(
            accepted=len(self.labels.pairs),
            deleted=len(self.deleted),
            refused={pair_text(pair): why for pair, why in list(refused.items())[:NAMED]},
            refused_total=len(refused) + self.labels.keyless,
            known=len(book),
            positives=positives,
            negatives=len(outcomes) - positives,
            held_out=int((outcomes.part == Part.HOLDOUT).sum()),
            waiting=known.waiting,
            overruled=known.overruled,
            set_aside=book.set_aside,
            whole=self.whole,
        )


def take_in_labels(
    request: CycleRequest, store: LabelStore, space: Space | None, champions: LabelReport | None, reporter: Reporter
) -> LabelIntake:
    """Re-read the claimed labels; all of them where the space is made anew or its book cannot be followed.

    Args:
        request: the cycle's, which has a label group.
        store: where that is read.
        space: as it was before the cycle; None where it has to be made.
        champions: what the champion knew of labels, by which a loss is noticed where the book is new.
        reporter: is informed of the progress of reading.

    Raises:
        ContractError: the store is not what the label group says.
    """
    group = request.settings.labels
    assert group is not None
    store.check_contract()
    book = space.labels() if space is not None else None
    follows = book is not None and space is not None and book.follows(group, space.matrix, request.users)
    of = len(request.labels) if follows else store.count()

    def tick(done: int) -> None:
        reporter.running(Step.READ, done, of)

    if book is None or not follows:
        labels = read_all(store, group, {*request.labels, *request.recent_labels}, tick)
        known = len(book) if book else champions.known if champions else 0
        lost = max(0, known - len(labels.pairs))
        return LabelIntake(group, labels, absent(request.labels, labels), True, known, lost)
    labels = read_pairs(store, group, request.labels, tick)
    deleted = absent(request.labels, labels)
    return LabelIntake(group, labels, deleted, False, len(book), book.holding([*deleted, *labels.refused]))
