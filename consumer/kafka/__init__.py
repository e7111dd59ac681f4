"""What Kafka asks of whoever speaks to it: settings, certificates and tokens, a client, and what its refusals mean."""
