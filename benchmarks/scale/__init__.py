"""Seconds and peak memory of each step of a cycle, at 100,000, 300,000 and 1,000,000 users.

`make bench ONLY=scale. KEEP=1` measures (ONLY=scale.100000 a size), `python -m benchmarks.records` writes what was
measured into docs/scale.md.
"""
