"""Training data, losses and fits."""
