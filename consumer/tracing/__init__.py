"""A trace of each cycle, told when the cycle has ended, from what is on record of it.

spans      a cycle on record becomes spans: pure, and knows nothing of OpenTelemetry
sending    spans go to a collector by OTLP/HTTP
told       which cycles were told, in a small file
follower   the thread that tells

Why not while the cycle runs: what is on record has the true times, survives a crash of any process, and is told whole
or not at all, after an outage of the collector, too. No code of a cycle knows of traces, so none can wait for them.
"""
