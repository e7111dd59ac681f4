"""What was measured, on each kind of machine: benchmarks/results.json, and the pages that are written from it.

`make bench` and `KEEP=1` put rows into the record of the machine's kind and leave the others; `python -m
benchmarks.records` writes the pages.
"""
