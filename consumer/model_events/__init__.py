"""Model events on their way from the outbox of the ledger to a topic and to a webhook, at least once, in order.

envelope   a row of the outbox becomes a CloudEvent: the settings know model name and files
topic      sends to Kafka
webhook    sends by HTTP
ports      what a channel is
queue      the outbox as a courier of `consumer.sending` sees it
followers  the threads: a courier for each channel, and one that keeps the outbox small
"""
