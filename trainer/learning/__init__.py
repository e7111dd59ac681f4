"""What a model learns from, and how it is fitted."""
