"""Replay: events of the topic, read a second time by a consumer of its own, and learned again in a backfill cycle."""
