"""Planted bug: a trainer that follows leaves out every other claimed user whom its matrix has already."""

import sys

if sys.orig_argv[-1] == "trainer":
    from collections.abc import Iterable, Sequence

    from trainer.embeddings import UserMatrix
    from trainer.features.protocol import Floats

    apply = UserMatrix.apply

    def apply_half(
        self: UserMatrix, keys: Sequence[str], raw: Floats, directions: Floats, deletes: Iterable[str]
    ) -> None:
        known = self.rows_of(list(keys))
        left_out = set(sorted(known)[::2])
        taken = [at for at, key in enumerate(keys) if key not in left_out]
        apply(self, [keys[at] for at in taken], raw[taken], directions[taken], deletes)

    UserMatrix.apply = apply_half  # type: ignore[method-assign]
