"""The root of all errors of ours. Each room has a tree of its own below it."""


class RetrainerError(Exception):
    """What went wrong, in words for people: the message names the thing, the value and the way out."""
