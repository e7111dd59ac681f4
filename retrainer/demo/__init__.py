"""`retrainer demo`: the real service on an embedded broker and a local feature store, with listeners who change.

Nothing here imitates the service. `demo` starts three processes (broker, simulator, service), asks the simulator for
one wave of changes after another, and `screen` shows what the service's own log says. The simulator alone is
`retrainer simulate`.
"""
