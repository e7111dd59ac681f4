"""The ledger: what was read, what is pending, what became of it. One database, the truth about offsets and changes.

tables   the tables
ledger   opening it; `Ledger` holds the three views below
intake   what the listener writes: changes, offsets and dead letters, in one transaction
cycles   claiming the pending users for a cycle, and settling it
asked    what operators and the schedule asked for
views    what `status`, `versions` and `dead-letters` show
"""
