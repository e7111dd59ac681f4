"""Notifications: what people are told without asking, by webhook and chat, each once, without a storm.

facts       what is known of the service: its status, its ledger, the freshness promise
conditions  what of that is wrong, in words. Pure
policy      which alerts begin, last and are over; which news are told together. Pure
wording     the messages
watch       looks every few seconds, and writes what is to be told into the ledger, in one transaction
aloud       tells trouble of the ledger without the ledger
queue       the messages that wait for one channel, as a courier of `consumer.sending` sees them
channels    webhook and chat
chat        apprise, in a process of its own
heartbeat   a URL that is asked while the service works
followers   the threads
now         what `status` says of it
"""
