"""The line of a challenger on the dev users: neither precision nor recall is bought with the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trainer.learning.cosine_histogram import CosineHistogram, Line


def tally_of(seed: int = 0) -> CosineHistogram:
    """Two hundred users with ten similar and ninety other pairs each; those near the line are mixed up."""
    draw = np.random.default_rng(seed)
    cosine = np.concatenate([draw.normal(0.9, 0.05, (200, 10)), draw.normal(0.5, 0.1, (200, 90))], axis=1)
    similar = np.arange(100) < 10
    none = np.empty(0, dtype=np.int64)
    return CosineHistogram.of(
        np.clip(cosine, -1, 1).astype(np.float32),
        np.tile(similar, (200, 1)),
        np.ones((200, 100)),
        (none, none),
        np.ones(200),
        np.ones(200),
        np.arange(200) % 8,
        0.7,
    )


def f1(histogram: CosineHistogram, line: Line) -> float:
    figures = histogram.figures(line)
    return 2 * figures.precision * figures.recall / (figures.precision + figures.recall)


def test_where_both_can_gain_the_line_is_a_good_one_and_both_do() -> None:
    """After a re-embedding the champion had high precision and hardly any recall; the fairest line kept that shape."""
    histogram = tally_of()
    free = histogram.line(Line(20.0, -14.0), None)
    for precision, recall in ((0.9, 0.3), (0.3, 0.9), (0.5, 0.5)):
        before = replace(histogram.figures(free), precision=precision, recall=recall)
        line = histogram.line(Line(20.0, -14.0), before)
        now = histogram.figures(line)
        assert now.precision > precision
        assert now.recall > recall
        assert f1(histogram, line) > f1(histogram, free) - 0.02


@pytest.mark.parametrize("shift", [-0.05, 0.05])
def test_where_only_one_could_gain_neither_is_bought_with_the_other(shift: float) -> None:
    """The champion's own figures at its line: another line would win one and lose the other."""
    histogram = tally_of()
    scale = 40.0
    own = Line(scale, -scale * (0.74 + shift))
    before, now = histogram.figures(own), histogram.figures(histogram.line(own, histogram.figures(own)))
    assert now.precision > before.precision - 1e-3
    assert now.recall > before.recall - 1e-3
