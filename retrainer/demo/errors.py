"""What can go wrong in a demo, in a file of its own so that every module can raise it."""

from consumer.errors import ConsumerError


class DemoError(ConsumerError):
    """The demo cannot go on; the message says why and what to do, fit for a person."""


class DemoUsageError(DemoError):
    """What was asked for makes no sense as it stands: a file that is no listening log, a folder that is not ours."""
