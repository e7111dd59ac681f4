"""Learns, judges, registers. Knows models, features and registries; knows nothing of Kafka."""

from trainer.own_keras import keep_others_out

keep_others_out()
