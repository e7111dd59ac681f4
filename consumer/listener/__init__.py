"""The listener: one thread that owns the Kafka consumer and polls it for ever (P6).

What a poll brings is stored in the ledger before the next poll. Offsets are the ledger's: a partition that is assigned,
kept or not, stays paused until it has been sought to the ledger's offset, and the same is done with all of them after a
batch that could not be stored. So there is one way back from every trouble, and nothing to be remembered in between.
Kafka's committed offsets follow as a copy. A client that does what nobody understands is given up, and another one
connected: that way leads back to the ledger's offsets, too.

Its rooms, in the order of a turn:

    listener    the thread, and its loop
    polling     one poll, and what its errors mean
    rebalance   notes of what was assigned and taken away
    batch_writer  what a poll brought goes into the ledger
    flood       too many dead letters hold up reading
    dead_letter_log  the log of dead letters, a few lines a second
    ledger_backoff  while the ledger does not take it, nothing is fetched, and it is tried again ever later
    gaps        records that cannot be had: lost, cut off, or not to be parsed
    assignment  the assigned partitions, and putting them at the ledger's offsets
    pauses      why nothing is fetched for now
    commits     Kafka's committed offsets follow
    status      how the listener is, for other threads
"""
