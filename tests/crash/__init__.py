"""The crash matrix: the service is killed again and again while changes flow, and then everything is counted.

stream    commits, and their events, with a journal of what the broker acknowledged
plan      whom to kill, and when
follows   the labels among the commits
victim    the service as processes to be killed
harness   one run: kill by the plan, restart, let it come to rest
tally     what was done to it, and what came of it
topic     the records on the broker, read once more
matrix    user matrix, pairs and labels, beside those that the stores ask for
evidence  what a run left: topics, journal, ledger, registry, stores, matrix, pairs and labels
checker   what of it is lost, twice or wrong; pure
keeping   the checker's rules about matrix, pairs and labels
finding   what a rule finds
results   what is printed and kept
"""
