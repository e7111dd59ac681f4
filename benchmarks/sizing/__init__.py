"""What a service takes by the number of its users: seconds, memory, disk; of a service that runs as in production.

`make bench ONLY=sizing. KEEP=1` measures (ONLY=sizing.2000 a size), `python -m benchmarks.records` writes what
was measured into docs/sizing.md.
"""
