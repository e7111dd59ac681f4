"""A backup of what the service knows, taken while it runs, and its restoration.

contents.py  what a backup holds, on record in the backup itself
taking.py    a backup is written beside its place and renamed: it is whole or not there
restoring.py an empty ledger, and missing local stores, become those of the backup
"""
