"""The crash matrix: the service is killed again and again while changes flow, and then everything is counted.

stream    commits, and their events, with a journal of what the broker acknowledged
plan      whom to kill, and when
victim    the service as processes to be killed
harness   one run: kill by the plan, restart, let it come to rest
tally     what was done to it, and what came of it
topic     the records on the broker, read once more
matrix    user matrix and pairs, beside those that the feature store asks for
evidence  what a run left: topic, journal, ledger, registry, feature store, matrix and pairs
checker   what of it is lost, twice or wrong; pure
results   what is printed and kept
"""
