"""Vector sets that follow the champion: when one is due, and the process that computes it."""
