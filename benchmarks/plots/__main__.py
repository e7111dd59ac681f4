"""Draws every picture of the documentation: `make plots`."""

from benchmarks.plots import bounds, gate, learning, outcomes, pairs

for draw in (pairs.draw, bounds.draw, learning.draw_batches, learning.draw_loss, outcomes.draw, gate.draw):
    draw()
