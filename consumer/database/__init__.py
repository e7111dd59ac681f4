"""The database under the ledger: its tables, and how SQLite and PostgreSQL are spoken to. Knows nothing of cycles.

tables        the tables
migrations    how the tables of an earlier release become these
engine        connections: how long they wait, what they lock, what survives a crash
transactions  what holds in each transaction on PostgreSQL
pooler        whether a pooler before PostgreSQL lends sessions
address       the address of a database: its password, its encryption, how it is shown
dialect       the few words that SQLite and PostgreSQL do not share
"""
