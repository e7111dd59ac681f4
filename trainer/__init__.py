"""Learns, judges, registers. Knows models, features and registries; knows nothing of Kafka."""
