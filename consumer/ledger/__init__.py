"""The ledger: what was read, what is pending, what became of it. One database, the truth about offsets and changes.

Below lie `consumer.database` (tables, connections), `consumer.changes` (what is pending) and `consumer.dead_letters`.

    ledger            opening it; a `Ledger` holds everything below
    looking           a look into a ledger that leaves no trace
    batch             what the listener read in one poll
    intake            the listener stores a batch: changes, offsets and dead letters, in one transaction
    cycles            the supervisor claims the pending users for a cycle, and settles the cycle
    ending            a cycle ends: its claim is settled or given back, its version may become champion
    settling          settled rows are deleted, or rows become pending again
    lineage           which offsets, replays and gaps a cycle stands for
    refusals          users and labels that no version has learned, as their rows are unfit
    champions         the champion pointer, and which other versions a challenger is measured against
    promotions        the champion pointer moves: by a cycle's end, or by a person's promotion or rollback
    answering         which cycles a champion answers for; what is pending again when a person moves the pointer
    orders            a pinned champion, paused cycles, a hold-down: what a person's word stops
    leases            which of several instances may run cycles; every write of a cycle is checked against the lease
    instances         which services there are, and how each is
    retrain_requests  what operators, the schedule and trainers ask for
    probes            how the champion answered for what was pending
    replays           what was replayed
    views             what `status`, `versions` and the trigger see
    efforts           what the last cycles came to
    records           a cycle, a version or a gap as `--json` gives it
"""
