"""Draws every picture of the documentation: `make plots`."""

from benchmarks.plots import bounds, gate, learning, outcomes, pairs, report

for draw in (pairs.draw, bounds.draw, learning.draw_batches, learning.draw_loss, outcomes.draw, gate.draw, report.draw):
    draw()
