"""The events of the log: an interface, by which people search and programs wait.

`retrainer run`, `retrainer bridge` and the demo's simulator log these events and no others. Each event is a constant of
`listener.py`, `cycles.py`, `promotions.py`, `model_events.py`, `notifications.py`, `deployment.py`, `http.py`,
`service.py` or `bridge.py`. Code logs the constant (`log.info(CYCLE_STARTED, ...)`), and readers compare with the
constant. `registry.py` has all events, `facts.py` has what the trainer reports of each step of a cycle, and `page.py`
writes docs/log-events.md.

The events lie in schemas and not in the consumer, because the trainer's facts travel in the consumer's event `step`,
and the trainer does not import the consumer.
"""
