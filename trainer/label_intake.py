"""The read step for labels: the claimed ones as the label group has them now, or all of them."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.cycle import CycleRequest, LabelReport, Step
from schemas.labels import LabelGroup, PairKey, pair_text
from schemas.refused import NAMED, kinds_of
from stores.label_store import LabelStore
from stores.labels.checks import CheckedLabels
from stores.labels.reading import absent, read_all, read_pairs
from trainer.labels.book import KnownLabels, LabelBook
from trainer.matrix.split import Part
from trainer.progress import Reporter
from trainer.space import Space


@dataclass(frozen=True, slots=True)
class LabelIntake:
    """The labels that were read.

    Attributes:
        labels: the sound ones.
        deleted: claimed ones that the group does not have.
        whole: whether all labels of the group were read, so that all others are gone.
        known: how many labels there were before.
        lost: how many of those are gone.
    """

    group: LabelGroup
    labels: CheckedLabels
    deleted: list[PairKey]
    whole: bool
    known: int
    lost: int

    def into(self, book: LabelBook) -> None:
        """Apply what was read to the book; refused labels leave it, as a full re-read would not have them (P3)."""
        if self.whole:
            book.replace(self.group, self.labels)
        else:
            book.apply(self.labels, [*self.deleted, *self.labels.refused])

    def report(self, known: KnownLabels, book: LabelBook) -> LabelReport:
        """The counts of this read, and of the labels known now."""
        outcomes, refused = known.outcomes, self.labels.refused
        positives = int(outcomes.positive.sum())
        return LabelReport(
            accepted=len(self.labels.pairs),
            deleted=len(self.deleted),
            refused={pair_text(pair): why for pair, why in list(refused.items())[:NAMED]},
            refused_total=len(refused) + self.labels.keyless,
            refused_kinds=kinds_of(self.labels.kinds, self.labels.keyless),
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
    """Re-read the claimed labels; all of them where the space is new, or its book has missed changes.

    Args:
        request: the cycle's, which has a label group.
        store: of that group.
        space: as it was before the cycle; None where a new one has to be made.
        champions: the champion's report on labels, which shows a loss where the book is new.
        reporter: gets the progress of reading.

    Raises:
        ContractError: the store does not match the label group's contract.
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
        labels = read_all(store, group, {*request.labels, *request.recently_learned_labels}, tick)
        known = len(book) if book else champions.known if champions else 0
        lost = max(0, known - len(labels.pairs))
        return LabelIntake(group, labels, absent(request.labels, labels), True, known, lost)
    labels = read_pairs(store, group, request.labels, tick)
    deleted = absent(request.labels, labels)
    return LabelIntake(group, labels, deleted, False, len(book), book.holding([*deleted, *labels.refused]))
