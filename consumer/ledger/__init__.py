"""The ledger: what was read, what is pending, what became of it. One database, the truth about offsets and changes.

Its rooms, by who uses them:

    ledger      opening it; a `Ledger` holds the rooms below
    intake      the listener: changes, offsets and dead letters, in one transaction
    batch       what it hands over
    pending     users become pending
    cycles      the supervisor: claiming the pending users for a cycle, and settling it
    champions   the champion pointer, and whom else a challenger is measured against
    leases      which of several instances may run cycles; every write of a cycle is checked against it
    instances   which services there are, and how each is
    asked       operators, the schedule and trainers: what they asked for
    views       whoever looks: `status`, `versions`, `dead-letters`, the trigger
    digest      by what a dead letter is known again
    letters     operators: dead letters, replayed and discarded; the dead-letter topic
    engine      connections: what they lock and what survives
    dialect     the few words that SQLite and PostgreSQL do not share
    tables      the tables
    migrations  how those of an earlier release become these
"""
