"""The errors of the consumer, in a file of their own so that every module can raise them."""

from schemas.errors import RetrainerError


class ConsumerError(RetrainerError):
    """Root of the consumer's errors. Its message names the thing, the value and the way out."""


class SettingsError(ConsumerError):
    """A setting is missing or wrong: the start is refused (exit code 2)."""


class LedgerError(ConsumerError):
    """The ledger cannot be used, or was asked for something that its state does not allow."""


class OffsetConflict(LedgerError):  # noqa: N818  (a signal, not a fault)
    """Another instance moved a partition's offset: our records are not stored, and reading goes on from the ledger."""


class LeaseLost(LedgerError):  # noqa: N818
    """The lease for running cycles is not ours: nothing was written, and the holder goes on."""


class NoLedger(LedgerError):  # noqa: N818
    """There is no ledger at this address; the first start makes one."""


class OldLedger(LedgerError):  # noqa: N818
    """An earlier release made the ledger; the next start brings the ledger up to date."""


class OutsideGroup(ConsumerError):  # noqa: N818
    """The client has not got into its group for long."""


class AlreadyRunning(ConsumerError):  # noqa: N818
    """Another process works on this state folder."""


class StateFolderError(ConsumerError):
    """The state folder cannot be written."""
