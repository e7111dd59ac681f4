"""What monitoring scrapes: every figure of the service by a name, a unit and labels that stay few.

metric            what a metric is; its labels, and where its value comes from
instance_metrics  metrics of this process
ledger_metrics    metrics of the ledger, the same at every instance
registry          all of them
readings          values for metrics, as the client library takes them
cycle_tally       what the cycles on record come to; each is read once
refreshing        a reading of the ledger that nobody waits for long
from_ledger       values of the ledger
from_instance     values of this process
memory            resident memory of this process and of those it has started
collector         the page
reference         docs/metrics.md
"""
