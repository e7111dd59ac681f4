"""Listens, accumulates, decides when. Knows Kafka and the ledger; knows nothing of models."""
