"""Model events on their way from the outbox of the ledger to a topic and to a webhook, at least once, in order.

envelope   a row of the outbox becomes a CloudEvent: the settings know model name and files
topic      sends to Kafka
webhook    sends by HTTP
signing    signs as Standard Webhooks has it
patience   how long to wait after a failure, and when an event is given up
ports      what a channel is
courier    carries events from the outbox to one channel
followers  the threads: a courier for each channel, and one that keeps the outbox small
"""
