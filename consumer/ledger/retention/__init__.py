"""Which versions stay in the registry, and which are marked as deleted.

policy   pure: what stays and what goes
needed   who needs a version, however old it is
marking  versions are marked in the ledger before they are deleted
"""
