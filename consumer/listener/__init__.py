"""The listener: one thread that owns the Kafka consumer and polls it for ever (P6).

The ledger stores what a poll brings before the next poll. Offsets are the ledger's: an assigned partition, kept or new,
stays paused until the client has been sought to the ledger's offset, and a batch that could not be stored sends all
partitions back there. So there is one way back from every trouble, and nothing to remember in between. Kafka's
committed offsets follow as a copy. A client whose error nobody understands is given up, and another one connected: that
way leads back to the ledger's offsets, too.

Its modules, in the order of a turn:

    listener         the thread, and its loop
    polling          one poll, and what its errors mean
    rebalance        notes of what was assigned and taken away
    batch_writer     what a poll brought goes into the ledger
    ledger_backoff   while the ledger takes nothing, nothing is fetched, and each attempt waits longer
    gaps             records that cannot be had: lost, cut off, or not to be parsed
    assignment       the assigned partitions, and putting them at the ledger's offsets
    pauses           why nothing is fetched for now
    commits          Kafka's committed offsets follow
    lag_meter        how many records are not stored yet
    notices          what no single event tells: none is ours, or their times are in a wrong unit
    state, status    how the listener is, for other threads
"""
