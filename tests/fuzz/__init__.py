"""Hostile events: fuzzing of the decoders, and a flood of mutations through the whole listener."""
