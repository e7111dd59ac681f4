"""Kafka for the rest of Retrainer: clients behind typed ports, made from the settings, and refusals put into words.

ports         what Retrainer asks of a client: the protocols
adapter       kafka-python's consumer behind them
admin         kafka-python's admin client behind them
private       what the adapters use of kafka-python's private parts, checked at the start
options       kafka-python's options, made from the settings
clients       making a client
connecting    waiting for a broker and the topics
once          a consumer for a command that does its work and ends
corrupt       finding a record that a broker cannot read itself
group         the members of a consumer group
net           the network client, which knows why it is not connected
transports    single connections
oauth         tokens
tls_files     certificate files
refusals      why a broker cannot be used, in words
fetched       a fetch, read within bounds: batches, old_batches, records, fields, unpacking
"""
