"""Planted bug: a trainer that follows leaves out half of the claimed users whom its matrix has, and of the labels."""

import sys

if sys.orig_argv[-1] == "trainer":
    from collections.abc import Callable, Iterable, Sequence

    from schemas.labels import PairKey
    from stores.feature_store import Floats
    from stores.labels.checks import CheckedLabels
    from trainer.labels.book import LabelBook
    from trainer.matrix.embeddings import UserMatrix

    apply = UserMatrix.apply
    apply_labels = LabelBook.apply

    def apply_half(
        self: UserMatrix,
        keys: Sequence[str],
        raw: Floats,
        scale: Callable[[Floats], Floats],
        deletes: Iterable[str],
    ) -> None:
        known = self.rows_of(list(keys))
        left_out = set(sorted(known)[::2])
        taken = [at for at, key in enumerate(keys) if key not in left_out]
        apply(self, [keys[at] for at in taken], raw[taken], scale, deletes)

    def apply_half_of_labels(self: LabelBook, labels: CheckedLabels, deletes: Iterable[PairKey]) -> None:
        half = CheckedLabels(
            labels.pairs[::2], labels.positive[::2], labels.weight[::2], labels.at[::2], labels.refused, labels.keyless
        )
        apply_labels(self, half, deletes)

    UserMatrix.apply = apply_half  # type: ignore[method-assign]
    LabelBook.apply = apply_half_of_labels  # type: ignore[method-assign]
