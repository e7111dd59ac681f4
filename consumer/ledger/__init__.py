"""The ledger: what was read, what is pending, what became of it. One database, the truth about offsets and changes.

Its rooms, by who uses them:

    ledger   opening it; a `Ledger` holds the four below
    intake   the listener: changes, offsets and dead letters, in one transaction
    cycles   the supervisor: claiming the pending users for a cycle, and settling it
    asked    operators and the schedule: what they asked for
    views    whoever looks: `status`, `versions`, `dead-letters`, the trigger
    engine   connections: what they lock and what survives
    tables   the tables
"""
