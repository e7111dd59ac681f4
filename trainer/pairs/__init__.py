"""The similar-pair graph: exact mining, incremental maintenance, and negatives checked to be dissimilar.

Bounds leave out most of the product (`bounds`, kept on disk by `short_rows`); blocks of rows are mined exactly
(`candidates`, `mining`, `similarity`); the graph follows changes (`graph`, with a cap `nearest`). For notebooks there
are `generate_pairs`, and `label_pairs` for pairs of what users really did.
"""

from trainer.pairs.from_labels import label_pairs
from trainer.pairs.notebook import generate_pairs

__all__ = ["generate_pairs", "label_pairs"]
